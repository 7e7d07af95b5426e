import * as assert from 'uvu/assert'
import {
  type Transaction,
  type TransactionError,
  TransactionManager,
  TransientError,
} from '../../source/transaction/index.ts'
import { suite } from '../support/suite.ts'
import { Recorder, thrownBy } from './recorder.ts'

const test = suite('trying again')

test('run gives what the work gives, by a promise or not, and commits', async () => {
  const manager = new TransactionManager({ explicit: true })
  const log: string[] = []
  const join = (transaction: Transaction) => transaction.join(new Recorder('a', log))
  assert.is(await manager.run((transaction) => (join(transaction), 1)), 1)
  assert.is(await manager.run(async (transaction) => await Promise.resolve(join(transaction) ?? 2)), 2)
  assert.is(log.filter((call) => call === 'a.tpcFinish').length, 2)
})

test('run tries again after a TransientError, three times by default, and manager.attempt counts', async () => {
  const manager = new TransactionManager({ explicit: true })
  const seen: unknown[] = []
  const transactions = new Set<Transaction>()
  const error = new TransientError('locked', { cause: 'a lock' })
  const run = manager.run((transaction) => {
    transactions.add(transaction)
    seen.push(manager.attempt)
    throw error
  })
  assert.is(await thrownBy(() => run), error)
  assert.is(error.cause, 'a lock')
  assert.equal(seen, [1, 2, 3])
  assert.is(transactions.size, 3)
  assert.equal([manager.attempt, new TransactionManager().attempt], [1, 1])
  assert.is(await manager.run(() => manager.attempt, { attempts: 1 }), 1)
})

test('the number of the attempt is there while the work runs, in nested runs too', async () => {
  const manager = new TransactionManager()
  const seen: unknown[] = []
  await manager.run(async () => {
    if (manager.attempt < 2) throw new TransientError('again')
    seen.push(manager.attempt)
    await manager.run(() => seen.push(manager.attempt))
    seen.push(manager.attempt)
  })
  assert.equal(seen, [2, 1, 2])
})

test('run asks the data managers, until one says yes, before it aborts them', async () => {
  const manager = new TransactionManager({ explicit: true })
  const log: string[] = []
  const asked = (name: string, answer: unknown) =>
    Object.assign(new Recorder(name, log), {
      shouldRetry(error: Error) {
        log.push(`${name}.shouldRetry(${error.message})`)
        return answer as boolean
      },
    })
  let tries = 0
  await manager.run((transaction) => {
    transaction.join(asked('a', false))
    transaction.join(new Recorder('b', log))
    transaction.join(asked('c', Promise.resolve(false)))
    transaction.join(asked('d', Promise.resolve(true)))
    transaction.join(asked('e', true))
    if (++tries === 1) throw new Error('deadlock')
  })
  assert.is(tries, 2)
  assert.equal(log.slice(0, 4), [
    'a.shouldRetry(deadlock)',
    'c.shouldRetry(deadlock)',
    'd.shouldRetry(deadlock)',
    'a.abort',
  ])
})

test('run gives up at once on an error that nobody calls retryable', async () => {
  const manager = new TransactionManager({ explicit: true })
  let tries = 0
  const error = new Error('for good')
  const run = manager.run(() => {
    tries++
    throw error
  })
  assert.is(await thrownBy(() => run), error)
  assert.is(tries, 1)
  await manager.begin()
})

test('a subclass of TransientError is retryable too', async () => {
  class Conflict extends TransientError {}
  assert.is(await new TransactionManager().get().isRetryableError(new Conflict('again')), true)
})

test('run notes the name of the function, and a text given for it', async () => {
  const manager = new TransactionManager({ explicit: true })
  const note = ({ description }: Transaction) => description
  assert.is(await manager.run(note), 'note')
  assert.is(await manager.run(note, { doc: 'what it is for' }), 'note\n\nwhat it is for')
  assert.is(await manager.run(({ description }) => description), '')
  assert.is(await manager.run(({ description }) => description, { doc: 'alone' }), 'alone')
  const _ = note.bind(undefined)
  Object.defineProperty(_, 'name', { value: '_' })
  assert.is(await manager.run(_), '')
})

for (const count of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
  test(`${count} attempts are refused before anything is done`, async () => {
    const manager = new TransactionManager({ explicit: true })
    const work = () => assert.unreachable('it worked')
    const iterate = async () => {
      for await (const attempt of manager.attempts(count)) await attempt.run(work)
    }
    for (const call of [() => manager.run(work, { attempts: count }), iterate]) {
      const error = (await thrownBy(call)) as TransactionError
      assert.is(error.code, 'SQLASSIST_ATTEMPTS_COUNT')
      assert.match(error.message, `is ${count}`)
    }
  })
}

test('attempts gives blocks until one succeeds', async () => {
  const manager = new TransactionManager({ explicit: true })
  const seen: unknown[] = []
  for await (const attempt of manager.attempts()) {
    await attempt.run((transaction) => {
      assert.is(transaction, manager.get())
      seen.push([attempt.number, manager.attempt])
      if (attempt.number < 2) throw new TransientError('again')
    })
  }
  assert.equal(seen, [
    [1, 1],
    [2, 2],
  ])
})

test('a block is over when its run is, and throws what it failed of', async () => {
  const manager = new TransactionManager({ explicit: true })
  const error = new Error('for good')
  const log: string[] = []
  const iterate = async () => {
    for await (const attempt of manager.attempts(3)) {
      const isFirst = attempt.number === 1
      const work = (transaction: Transaction) => {
        transaction.join(new Recorder('a', log))
        throw isFirst ? new TransientError('again') : error
      }
      if (isFirst) await attempt.run(work)
      else assert.is(await thrownBy(() => attempt.run(work)), error)
      log.push(`after ${attempt.number}`)
    }
  }
  assert.is(await thrownBy(iterate), error)
  assert.equal(log, ['a.abort', 'after 1', 'a.abort', 'after 2'])
})

test('the last block aborts and throws when the work fails, and leaves a failed commit to whoever handles it', async () => {
  const manager = new TransactionManager({ explicit: true })
  const block = async (work: (transaction: Transaction) => void) => {
    for await (const attempt of manager.attempts(1)) await attempt.run(work)
  }
  const error = new Error('the work')
  const throwing = () => {
    throw error
  }
  assert.is(await thrownBy(() => block(throwing)), error)
  assert.is(
    await thrownBy(() => block((transaction) => transaction.join(new Recorder('a', [], { commit: throwing })))),
    error,
  )
  assert.is(manager.get().status, 'Commit failed')
  await manager.abort()
})

test('a block whose error nobody calls retryable ends the iteration with it', async () => {
  const manager = new TransactionManager({ explicit: true })
  const error = new Error('for good')
  let blocks = 0
  const iterate = async () => {
    for await (const attempt of manager.attempts(3)) {
      blocks++
      await attempt.run(() => {
        throw error
      })
    }
  }
  assert.is(await thrownBy(iterate), error)
  assert.is(blocks, 1)
})

test('a block that was not run does not count as done; one not waited for is waited for', async () => {
  const manager = new TransactionManager({ explicit: true })
  const seen: number[] = []
  for await (const attempt of manager.attempts(4)) {
    if (attempt.number === 1) continue
    void attempt.run(async () => {
      await Promise.resolve()
      seen.push(attempt.number)
      if (attempt.number < 3) throw new TransientError('again')
    })
  }
  assert.equal(seen, [2, 3])
})

test.run()
