/** What holds for every plan of data managers, faults, savepoints, hooks and calls from outside. */
import process from 'node:process'
import fc from 'fast-check'
import * as assert from 'uvu/assert'
import {
  ConcurrentCallError,
  type DataManager,
  type DataManagerSavepoint,
  type Savepoint,
  type Transaction,
  TransactionEndedError,
  TransactionError,
  TransactionManager,
  TransactionUsageError,
} from '../../source/transaction/index.ts'
import { suite } from '../support/suite.ts'
import { thrownBy } from './recorder.ts'

const test = suite('properties')

const seed = Number(process.env['FAST_CHECK_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
process.stdout.write(`fast-check seed ${seed}\n`)

async function holds<T>(plans: fc.Arbitrary<T>, property: (plan: T) => Promise<void>, numRuns = 300): Promise<void> {
  await fc.assert(fc.asyncProperty(plans, property), { seed, numRuns })
}

const resourceMethods = [
  'tpcBegin',
  'commit',
  'tpcVote',
  'tpcFinish',
  'abort',
  'tpcAbort',
  'savepoint',
  'rollback',
] as const
const hookKinds = ['beforeCommit', 'afterCommit', 'beforeAbort', 'afterAbort'] as const

interface ResourcePlan {
  readonly key: string
  readonly savepoints: boolean
  /** How many turns of the microtask queue an answer takes; -1 answers at once. */
  readonly turns: number
  /** The methods that throw, each time they are called. */
  readonly faults: readonly (typeof resourceMethods)[number][]
}

const resourcePlans = (faulty: boolean): fc.Arbitrary<ResourcePlan> =>
  fc.record({
    key: fc.constantFrom('a', 'b', 'c', '~'),
    savepoints: fc.boolean(),
    turns: fc.integer({ min: -1, max: 3 }),
    faults: faulty
      ? fc.oneof({ arbitrary: fc.constant([]), weight: 2 }, fc.subarray([...resourceMethods], { maxLength: 2 }))
      : fc.constant([]),
  })

const hookPlans = fc.record({
  kind: fc.constantFrom(...hookKinds),
  turns: fc.integer({ min: -1, max: 2 }),
  isFaulty: fc.boolean(),
})

const steps = fc.array(
  fc.oneof(
    { arbitrary: fc.constant({ do: 'join' as const }), weight: 3 },
    fc.record({ do: fc.constant('savepoint' as const), optimistic: fc.boolean() }),
    fc.record({ do: fc.constant('rollback' as const), which: fc.nat(4) }),
    fc.constant({ do: 'doom' as const }),
  ),
  { maxLength: 12 },
)

/** Waits for so many turns of the microtask queue. */
async function turnsOfTheQueue(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await Promise.resolve()
}

/** An error that names its origin, so that each one thrown is another one. */
class Fault extends Error {}

/**
 * A data manager that keeps the contract: it ends once, by tpcFinish or by the first abort or tpcAbort, and ignores later calls.
 */
class Participant implements DataManager {
  readonly plan: ResourcePlan
  readonly world: World
  readonly calls: string[] = []
  endings: ('finished' | 'aborted')[] = []
  hasVoted = false

  constructor(plan: ResourcePlan, world: World) {
    this.plan = plan
    this.world = world
  }

  sortKey(): string {
    return this.plan.key
  }

  tpcBegin(): void | Promise<void> {
    return this.answer('tpcBegin', () => {})
  }

  commit(): void | Promise<void> {
    return this.answer('commit', () => {})
  }

  tpcVote(): void | Promise<void> {
    return this.answer('tpcVote', () => (this.hasVoted = true))
  }

  tpcFinish(): void | Promise<void> {
    this.world.finishing.push(this)
    return this.answer('tpcFinish', () => this.#end('finished'))
  }

  abort(): void | Promise<void> {
    this.#end('aborted')
    return this.answer('abort', () => {})
  }

  tpcAbort(): void | Promise<void> {
    this.#end('aborted')
    return this.answer('tpcAbort', () => {})
  }

  #end(ending: 'finished' | 'aborted'): void {
    if (this.endings.length === 0) this.endings.push(ending)
  }

  answer(method: (typeof resourceMethods)[number], work: () => void, atOnce = false): void | Promise<void> {
    this.calls.push(method)
    return this.world.answer(method, atOnce ? -1 : this.plan.turns, this.plan.faults.includes(method), work)
  }
}

/** One that has savepoints. */
class SavingParticipant extends Participant {
  savepoint(): DataManagerSavepoint {
    void this.answer('savepoint', () => {}, true)
    return { rollback: () => this.answer('rollback', () => {}) }
  }
}

/** Everything that happens in one run of a plan. */
class World {
  readonly thrown: { readonly error: Fault; readonly during: string }[] = []
  readonly reported: unknown[] = []
  readonly finishing: Participant[] = []
  readonly joined: Participant[] = []
  readonly manager = new TransactionManager({ explicit: true, onSuppressedError: (error) => this.reported.push(error) })

  answer(during: string, turns: number, isFaulty: boolean, work: () => void): void | Promise<void> {
    const end = () => {
      if (isFaulty) {
        const error = new Fault(during)
        this.thrown.push({ error, during })
        throw error
      }
      work()
    }
    return turns < 0 ? end() : this.#later(turns, end)
  }

  async #later(turns: number, end: () => void): Promise<void> {
    await turnsOfTheQueue(turns)
    end()
  }

  join(transaction: Transaction, plan: ResourcePlan): void {
    const participant = plan.savepoints ? new SavingParticipant(plan, this) : new Participant(plan, this)
    transaction.join(participant)
    this.joined.push(participant)
  }

  addHooks(
    transaction: Transaction,
    plans: readonly { kind: (typeof hookKinds)[number]; turns: number; isFaulty: boolean }[],
  ): void {
    const add = {
      beforeCommit: (hook: () => unknown) => transaction.addBeforeCommitHook(hook),
      afterCommit: (hook: () => unknown) => transaction.addAfterCommitHook(hook),
      beforeAbort: (hook: () => unknown) => transaction.addBeforeAbortHook(hook),
      afterAbort: (hook: () => unknown) => transaction.addAfterAbortHook(hook),
    }
    for (const { kind, turns, isFaulty } of plans)
      add[kind](() => this.answer(`${kind}Hook`, turns, isFaulty, () => {}))
  }
}

/** What a call came to. */
async function outcomeOf(call: () => Promise<unknown>): Promise<{ readonly error: unknown } | 'done'> {
  return await call().then(
    () => 'done' as const,
    (error: unknown) => ({ error }),
  )
}

const plans = fc.record({
  resources: fc.array(resourcePlans(true), { minLength: 1, maxLength: 5 }),
  hooks: fc.array(hookPlans, { maxLength: 4 }),
  steps,
  ending: fc.constantFrom('commit' as const, 'abort' as const),
})

/** Does the steps of a plan; an error of one is an answer like another. */
async function prepare(
  world: World,
  plan: typeof plans extends fc.Arbitrary<infer T> ? T : never,
): Promise<Transaction> {
  const transaction = await world.manager.begin()
  const savepoints: Savepoint[] = []
  const waiting = [...plan.resources]
  const joinNext = () => {
    const next = waiting.shift()
    if (next !== undefined && transaction.status !== 'Commit failed') world.join(transaction, next)
  }
  joinNext()
  for (const step of plan.steps) {
    if (step.do === 'join') joinNext()
    else if (step.do === 'doom' && transaction.status === 'Active') transaction.doom()
    else if (step.do === 'savepoint') {
      await outcomeOf(async () => savepoints.push(await transaction.savepoint({ optimistic: step.optimistic })))
    } else if (step.do === 'rollback') {
      await outcomeOf(async () => await savepoints[step.which % Math.max(1, savepoints.length)]?.rollback())
    }
  }
  while (waiting.length > 0) joinNext()
  world.addHooks(transaction, plan.hooks)
  return transaction
}

test('nobody is finished unless all have voted', async () => {
  await holds(plans, async (plan) => {
    const world = new World()
    const transaction = await prepare(world, plan)
    const taking = world.joined.filter(({ endings }) => endings.length === 0)
    await outcomeOf(() => transaction.commit())
    if (world.finishing.length > 0) assert.ok(taking.every(({ hasVoted }) => hasVoted))
    await outcomeOf(() => transaction.abort())
  })
})

test('everybody who joined has exactly one ending, and without an error in tpcFinish all who take part have the same', async () => {
  await holds(plans, async (plan) => {
    const world = new World()
    const transaction = await prepare(world, plan)
    const left = new Set(world.joined.filter(({ endings }) => endings.length > 0))
    const outcome = await outcomeOf(() => (plan.ending === 'commit' ? transaction.commit() : transaction.abort()))
    if (plan.ending === 'commit' && outcome !== 'done') await outcomeOf(() => transaction.abort())
    for (const { endings } of world.joined) assert.is(endings.length, 1)
    const endings = new Set(world.joined.filter((participant) => !left.has(participant)).map((each) => each.endings[0]))
    if (!world.thrown.some(({ during }) => during === 'tpcFinish')) {
      const expected = plan.ending === 'commit' && outcome === 'done' ? 'finished' : 'aborted'
      for (const ending of endings) assert.is(ending, expected)
    }
  })
})

const fatalInCommit = new Set(['beforeCommitHook', 'tpcBegin', 'commit', 'tpcVote', 'tpcFinish'])

test('the first error of a commit is what its caller sees, the others are kept and reported', async () => {
  await holds(plans, async (plan) => {
    const world = new World()
    const transaction = await prepare(world, plan)
    const canCommit = transaction.status === 'Active'
    const [suppressedBefore, thrownBefore] = [transaction.suppressedErrors.length, world.thrown.length]
    const outcome = await outcomeOf(() => transaction.commit())
    const thrown = world.thrown.slice(thrownBefore)
    if (canCommit) {
      const first = thrown.find(({ during }) => fatalInCommit.has(during))
      assert.is(outcome === 'done' ? undefined : outcome.error, first?.error)
      assert.equal(
        transaction.suppressedErrors.slice(suppressedBefore).map(({ error }) => error),
        thrown.filter((each) => each !== first).map(({ error }) => error),
      )
    } else {
      assert.instance(outcome === 'done' ? undefined : outcome.error, TransactionError)
      assert.equal(thrown, [])
    }
    await outcomeOf(() => transaction.abort())
    assert.equal(
      world.reported,
      transaction.suppressedErrors.map(({ error }) => error),
    )
  })
})

test('every error of an abort is either what its caller sees or kept and reported, and the first of a data manager comes out', async () => {
  await holds(plans, async (plan) => {
    const world = new World()
    const transaction = await prepare(world, plan)
    const [suppressedBefore, thrownBefore] = [transaction.suppressedErrors.length, world.thrown.length]
    const outcome = await outcomeOf(() => transaction.abort())
    const thrown = world.thrown.slice(thrownBefore)
    const ofHook = thrown.find(({ during }) => during === 'afterAbortHook')
    const first = ofHook ?? thrown.find(({ during }) => during === 'abort')
    assert.is(outcome === 'done' ? undefined : outcome.error, first?.error)
    const suppressed = transaction.suppressedErrors.slice(suppressedBefore).map(({ error }) => error)
    const others = thrown.filter((each) => each !== first).map(({ error }) => error)
    assert.equal(new Set(suppressed), new Set(others))
    assert.is(suppressed.length, others.length)
  })
})

test('a transaction that ended is unusable and says so, and its manager can begin another', async () => {
  await holds(plans, async (plan) => {
    const world = new World()
    const transaction = await prepare(world, plan)
    const outcome = await outcomeOf(() => (plan.ending === 'commit' ? transaction.commit() : transaction.abort()))
    if (plan.ending === 'commit' && outcome !== 'done') await outcomeOf(() => transaction.abort())
    for (const call of [
      () => transaction.join(new Participant({ key: 'x', savepoints: true, turns: 0, faults: [] }, world)),
      () => transaction.commit(),
      () => transaction.savepoint(),
      () => transaction.doom(),
      () => transaction.addAfterCommitHook(() => {}),
      () => transaction.setData({}, 1),
    ]) {
      const error = await thrownBy(call)
      assert.instance(error, TransactionEndedError)
      assert.match(String(error), 'begin a new one')
    }
    assert.equal(
      [
        transaction.beforeCommitHooks,
        transaction.afterCommitHooks,
        transaction.beforeAbortHooks,
        transaction.afterAbortHooks,
      ],
      [[], [], [], []],
    )
    const next = await world.manager.begin()
    assert.is.not(next, transaction)
    await next.abort()
  })
})

const outsideCalls = fc.array(
  fc.record({
    call: fc.constantFrom('join', 'commit', 'abort', 'savepoint', 'rollback', 'doom', 'begin', 'beginAndJoin'),
    turns: fc.integer({ min: 0, max: 6 }),
  }),
  { maxLength: 10 },
)

test('whatever is called from outside at whatever moment: no commit is torn, and everybody who joined has one ending', async () => {
  const concurrent = fc.record({
    resources: fc.array(resourcePlans(false), { minLength: 1, maxLength: 4 }),
    faulty: fc.array(resourcePlans(true), { maxLength: 1 }),
    hooks: fc.array(hookPlans, { maxLength: 3 }),
    calls: outsideCalls,
    late: fc.array(resourcePlans(true), { minLength: 1, maxLength: 10 }),
  })
  await holds(
    concurrent,
    async ({ resources, faulty, hooks, calls, late }) => {
      const world = new World()
      const first = await world.manager.begin()
      for (const plan of [...resources, ...faulty]) world.join(first, plan)
      world.addHooks(first, hooks)
      const savepoints: Savepoint[] = []
      const waiting = [...late]
      const joinLate = (transaction: Transaction) => world.join(transaction, waiting.shift() ?? late[0]!)
      const refusals: unknown[] = []
      const attempt = async (call: () => unknown) => {
        const outcome = await outcomeOf(async () => await call())
        if (outcome !== 'done' && !(outcome.error instanceof Fault)) refusals.push(outcome.error)
      }
      const pending: Promise<void>[] = []
      const begun = new Set([first])
      const beginning = async () => {
        const transaction = await world.manager.begin()
        begun.add(transaction)
        return transaction
      }
      for (const { call, turns } of calls) {
        const does: Record<string, () => unknown> = {
          join: () => joinLate(world.manager.get()),
          commit: () => world.manager.commit(),
          abort: () => world.manager.abort(),
          savepoint: async () => savepoints.push(await world.manager.savepoint({ optimistic: true })),
          rollback: () => savepoints.at(-1)?.rollback(),
          doom: () => world.manager.doom(),
          begin: beginning,
          beginAndJoin: async () => joinLate(await beginning()),
        }
        pending.push(attempt(does[call] as () => unknown))
        await turnsOfTheQueue(turns)
      }
      await Promise.all(pending)
      for (const transaction of begun) await outcomeOf(() => transaction.abort())
      for (const error of refusals) {
        assert.instance(error, TransactionError)
        if (error instanceof TransactionUsageError)
          assert.ok(['SQLASSIST_JOIN_STATUS', 'SQLASSIST_DOOM_STATUS'].includes(error.code), error.code)
      }
      for (const participant of world.joined) {
        assert.is(participant.endings.length, 1)
        const { calls: seen } = participant
        // Between the start of a commit that goes through and its last call nobody aborts.
        if (participant.endings[0] === 'finished') {
          assert.equal(seen.slice(seen.indexOf('tpcBegin')).slice(0, 4), ['tpcBegin', 'commit', 'tpcVote', 'tpcFinish'])
        }
      }
    },
    1000,
  )
})

test('a call from outside during a commit is refused as concurrent, at every turn of it', async () => {
  const plan = fc.record({ resources: fc.array(resourcePlans(false), { minLength: 1, maxLength: 4 }), at: fc.nat(30) })
  let refused = 0
  await holds(plan, async ({ resources, at }) => {
    const world = new World()
    const transaction = await world.manager.begin()
    for (const each of resources) world.join(transaction, each)
    let isOver = false
    const committing = transaction.commit().then(() => (isOver = true))
    await turnsOfTheQueue(at)
    const wasOver = isOver
    const outcome = await outcomeOf(() => transaction.abort())
    const error = outcome === 'done' ? undefined : outcome.error
    if (wasOver) assert.instance(error, TransactionEndedError)
    else assert.ok(error instanceof ConcurrentCallError || error instanceof TransactionEndedError)
    if (error instanceof ConcurrentCallError) refused++
    await committing
    for (const { endings } of world.joined) assert.equal(endings, ['finished'])
  })
  assert.ok(refused > 0)
})

test.run()
