/**
 * How fast the transaction core alone is, with data managers that do nothing: `node scripts/bench/transaction.ts`.
 *
 * Prints operations per second and microseconds each. One operation is a whole transaction: begin, join, commit.
 */
import process from 'node:process'
import { Bench } from 'tinybench'
import { type DataManager, type DataManagerSavepoint, TransactionManager } from '../../source/transaction/index.ts'

/** A data manager that does nothing, and says so at once or by a promise. */
class Idle implements DataManager {
  readonly #key: string
  readonly #answer: () => void | Promise<void>

  constructor(key: string, answer: () => void | Promise<void>) {
    this.#key = key
    this.#answer = answer
  }

  abort(): void | Promise<void> {
    return this.#answer()
  }

  tpcBegin(): void | Promise<void> {
    return this.#answer()
  }

  commit(): void | Promise<void> {
    return this.#answer()
  }

  tpcVote(): void | Promise<void> {
    return this.#answer()
  }

  tpcFinish(): void | Promise<void> {
    return this.#answer()
  }

  tpcAbort(): void | Promise<void> {
    return this.#answer()
  }

  savepoint(): DataManagerSavepoint {
    return { rollback: this.#answer }
  }

  sortKey(): string {
    return this.#key
  }
}

const keys = Array.from({ length: 10 }, (_, index) => `key-${index}`)
const idle = keys.map((key) => new Idle(key, () => {}))
const waiting = keys.map((key) => new Idle(key, async () => {}))
const hook = () => {}

function committing(resources: readonly DataManager[], manager = new TransactionManager({ explicit: true })) {
  return async () => {
    const transaction = await manager.begin()
    for (const resource of resources) transaction.join(resource)
    await transaction.commit()
  }
}

const manager = new TransactionManager({ explicit: true })
const bench = new Bench({ time: 500, warmupTime: 200 })
  .add('begin, abort, without waiting', () => {
    void manager.begin()
    void manager.abort()
  })
  .add('new manager, begin, commit: empty', async () => {
    const own = new TransactionManager({ explicit: true })
    await own.begin()
    await own.commit()
  })
  .add('begin, commit: empty', committing([]))
  .add('begin, commit: 1 resource', committing(idle.slice(0, 1)))
  .add('begin, commit: 3 resources', committing(idle.slice(0, 3)))
  .add('begin, commit: 10 resources', committing(idle))
  .add('begin, commit: 1 resource that answers by promises', committing(waiting.slice(0, 1)))
  .add('begin, commit: 3 resources that answer by promises', committing(waiting.slice(0, 3)))
  .add('begin, commit: 10 resources that answer by promises', committing(waiting))
  .add(
    'begin, commit: 3 resources, timeoutMs',
    committing(waiting.slice(0, 3), new TransactionManager({ timeoutMs: 1000 })),
  )
  .add('begin, commit: 3 resources, a beforeCommit and an afterCommit hook', async () => {
    const transaction = await manager.begin()
    for (const resource of idle.slice(0, 3)) transaction.join(resource)
    transaction.addBeforeCommitHook(hook)
    transaction.addAfterCommitHook(hook)
    await transaction.commit()
  })
  .add('begin, savepoint, commit: 3 resources', async () => {
    const transaction = await manager.begin()
    for (const resource of idle.slice(0, 3)) transaction.join(resource)
    await transaction.savepoint()
    await transaction.commit()
  })
  .add('begin, savepoint, rollback, commit: 3 resources', async () => {
    const transaction = await manager.begin()
    for (const resource of idle.slice(0, 3)) transaction.join(resource)
    const savepoint = await transaction.savepoint()
    await savepoint.rollback()
    await transaction.commit()
  })
  .add('run: 3 resources', async () => {
    await manager.run((transaction) => {
      for (const resource of idle.slice(0, 3)) transaction.join(resource)
    })
  })

await bench.run()
for (const { name, result } of bench.tasks) {
  if (result.state !== 'completed') throw new Error(`${name}: ${result.state}`)
  const perSecond = Math.round(result.throughput.mean).toLocaleString('en').padStart(12)
  const microseconds = (result.latency.p50 * 1000).toFixed(2).padStart(7)
  process.stdout.write(`${perSecond} op/s  ${microseconds} µs  ${name}\n`)
}
