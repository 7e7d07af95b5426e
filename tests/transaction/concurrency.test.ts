/** What asynchrony adds: calls from outside while another one is under way. Those from inside follow Zope's rules. */
import * as assert from 'uvu/assert'
import {
  ConcurrentCallError,
  type Synchronizer,
  type Transaction,
  TransactionEndedError,
  TransactionManager,
} from '../../source/transaction/index.ts'
import { suite } from '../support/suite.ts'
import { Latch, Recorder, SavingRecorder, thrownBy } from './recorder.ts'

const test = suite('calls while another is under way')

/** A transaction whose data manager stops at the latch in one method. */
async function stopped(method: 'abort' | 'tpcBegin' | 'tpcVote' | 'tpcFinish', managerOptions = {}) {
  const log: string[] = []
  const latch = new Latch()
  const manager = new TransactionManager({ explicit: true, ...managerOptions })
  const transaction = await manager.begin()
  const resource = new SavingRecorder('a', log, { [method]: () => latch.pass() })
  transaction.join(resource)
  return { log, latch, manager, transaction, resource }
}

async function assertRefused(call: () => unknown, operation: string, underWay: string): Promise<void> {
  const error = (await thrownBy(call)) as ConcurrentCallError
  assert.instance(error, ConcurrentCallError)
  assert.equal([error.operation, error.underWay], [operation, underWay])
  assert.match(error.message, `${operation}: refused, because ${underWay} is under way`)
}

for (const method of ['tpcBegin', 'tpcVote', 'tpcFinish'] as const) {
  test(`while a commit is in ${method}, a commit, abort or savepoint from outside is refused and it goes on unharmed`, async () => {
    const { log, latch, manager, transaction } = await stopped(method)
    const committing = transaction.commit()
    await latch.reached
    await assertRefused(() => transaction.commit(), 'commit', 'commit')
    await assertRefused(() => manager.commit(), 'commit', 'commit')
    await assertRefused(() => transaction.abort(), 'abort', 'commit')
    await assertRefused(() => manager.abort(), 'abort', 'commit')
    await assertRefused(() => transaction.savepoint(), 'savepoint', 'commit')
    latch.open()
    await committing
    assert.is(transaction.status, 'Committed')
    assert.equal(log, ['a.tpcBegin', 'a.commit', 'a.tpcVote', 'a.tpcFinish'])
  })
}

test('while a commit is under way, the begin of an implicit manager cannot abort it', async () => {
  const { log, latch, manager, transaction } = await stopped('tpcVote', { explicit: false })
  const committing = transaction.commit()
  await latch.reached
  await assertRefused(() => manager.begin(), 'abort', 'commit')
  latch.open()
  await committing
  assert.is(log.includes('a.abort'), false)
})

test('from outside, a join is possible until the two phases begin: who joined in a hook takes part', async () => {
  const latch = new Latch()
  const log: string[] = []
  const transaction = await new TransactionManager({ explicit: true }).begin()
  transaction.addBeforeCommitHook(() => latch.pass())
  const committing = transaction.commit()
  await latch.reached
  transaction.join(new Recorder('late', log))
  latch.open()
  await committing
  assert.equal(log, ['late.tpcBegin', 'late.commit', 'late.tpcVote', 'late.tpcFinish'])
})

test('once the two phases have begun, a join is refused, from outside and from inside', async () => {
  const { latch, transaction, resource } = await stopped('tpcBegin')
  const committing = transaction.commit()
  await latch.reached
  assert.throws(
    () => transaction.join(resource),
    (error: { code?: string }) => error.code === 'SQLASSIST_JOIN_STATUS',
  )
  latch.open()
  await committing
})

test('a doom from outside that comes while a commit is under way is refused, not lost', async () => {
  const latch = new Latch()
  const transaction = await new TransactionManager({ explicit: true }).begin()
  transaction.addBeforeCommitHook(() => latch.pass())
  const committing = transaction.commit()
  await latch.reached
  await assertRefused(() => transaction.doom(), 'doom', 'commit')
  latch.open()
  await committing
  assert.is(transaction.status, 'Committed')
})

test('two aborts from outside are one: every participant is called once and both have its outcome', async () => {
  const log: string[] = []
  const latch = new Latch()
  const error = new Error('no')
  const manager = new TransactionManager({ explicit: true })
  const transaction = await manager.begin()
  const abort = async () => {
    await latch.pass()
    throw error
  }
  transaction.join(new Recorder('a', log, { abort }))
  const first = thrownBy(() => transaction.abort())
  await latch.reached
  const second = thrownBy(() => manager.abort())
  await assertRefused(() => transaction.commit(), 'commit', 'abort')
  await assertRefused(() => transaction.join(new Recorder('b', log)), 'join', 'abort')
  latch.open()
  assert.equal(await Promise.all([first, second]), [error, error])
  assert.equal(log, ['a.abort'])
})

test('a doom from outside while an abort is under way changes nothing but the state', async () => {
  const { latch, transaction } = await stopped('abort')
  const aborting = transaction.abort()
  await latch.reached
  transaction.doom()
  latch.open()
  await aborting
  assert.is(transaction.status, 'Doomed')
})

test('an abort from outside waits for a savepoint under way, and nothing gets in between', async () => {
  const log: string[] = []
  const latch = new Latch()
  const manager = new TransactionManager({ explicit: true })
  const transaction = await manager.begin()
  const resource = new SavingRecorder('a', log)
  resource.onSavepoint = () => latch.pass()
  transaction.join(resource)
  // Code that awaits the savepoint goes on before the abort does; even so the abort comes first.
  const next = transaction.savepoint().then(() => thrownBy(() => transaction.commit()))
  await latch.reached
  const aborts = [transaction.abort(), transaction.abort()]
  await assertRefused(() => transaction.commit(), 'commit', 'abort')
  await assertRefused(() => transaction.join(new Recorder('b', log)), 'join', 'abort')
  assert.equal(log, ['a.savepoint'])
  latch.open()
  assert.instance(await next, ConcurrentCallError)
  await Promise.all(aborts)
  assert.equal(log, ['a.savepoint', 'a.abort'])
  assert.instance(await thrownBy(() => transaction.commit()), TransactionEndedError)
})

test('an abort that waits for a savepoint that fails aborts all the same', async () => {
  const log: string[] = []
  const latch = new Latch()
  const transaction = await new TransactionManager({ explicit: true }).begin()
  const resource = new SavingRecorder('a', log)
  resource.onSavepoint = async () => {
    await latch.pass()
    throw new Error('no savepoint')
  }
  transaction.join(resource)
  const saving = thrownBy(() => transaction.savepoint())
  await latch.reached
  const aborting = transaction.abort()
  latch.open()
  await aborting
  assert.match(String(await saving), 'no savepoint')
  assert.equal(log, ['a.savepoint', 'a.abort', 'a.tpcAbort', 'a.abort'])
})

test('an abort from outside waits for a rollback under way; a join, commit, savepoint or rollback is refused', async () => {
  const log: string[] = []
  const latch = new Latch()
  const transaction = await new TransactionManager({ explicit: true }).begin()
  const resource = new SavingRecorder('a', log)
  resource.onRollback = () => latch.pass()
  transaction.join(resource)
  const savepoint = await transaction.savepoint()
  const rolling = savepoint.rollback()
  await latch.reached
  await assertRefused(() => savepoint.rollback(), 'rollback', 'rollback')
  await assertRefused(() => transaction.savepoint(), 'savepoint', 'rollback')
  await assertRefused(() => transaction.commit(), 'commit', 'rollback')
  await assertRefused(() => transaction.join(new Recorder('b', log)), 'join', 'rollback')
  const aborting = transaction.abort()
  latch.open()
  await Promise.all([rolling, aborting])
  assert.equal(log, ['a.savepoint', 'a.rollback', 'a.abort'])
  assert.is(savepoint.valid, false)
})

test('who joins from outside while a savepoint is being made counts as joined after it', async () => {
  const log: string[] = []
  const latch = new Latch()
  const transaction = await new TransactionManager({ explicit: true }).begin()
  const resource = new SavingRecorder('a', log)
  resource.onSavepoint = () => latch.pass()
  transaction.join(resource)
  const making = transaction.savepoint()
  await latch.reached
  transaction.join(new Recorder('late', log))
  latch.open()
  const savepoint = await making
  log.length = 0
  await savepoint.rollback()
  assert.equal(log.toSorted(), ['a.rollback', 'late.abort'])
  await transaction.commit()
  assert.is(log.includes('late.tpcBegin'), false)
})

test('who joins from outside while a second savepoint is being made is aborted once by a rollback of the first', async () => {
  const log: string[] = []
  const latch = new Latch()
  const transaction = await new TransactionManager({ explicit: true }).begin()
  const resource = new SavingRecorder('a', log)
  transaction.join(resource)
  const first = await transaction.savepoint()
  resource.onSavepoint = () => latch.pass()
  const making = transaction.savepoint()
  await latch.reached
  transaction.join(new Recorder('late', log))
  latch.open()
  await making
  log.length = 0
  await first.rollback()
  assert.equal(log, ['a.rollback', 'late.abort'])
})

test('who joins from inside while a savepoint is being made is not part of it, as with Zope', async () => {
  const log: string[] = []
  const transaction = await new TransactionManager({ explicit: true }).begin()
  const resource = new SavingRecorder('a', log)
  resource.onSavepoint = () => transaction.join(new Recorder('inner', log))
  transaction.join(resource)
  const savepoint = await transaction.savepoint()
  log.length = 0
  await savepoint.rollback()
  assert.equal(log, ['a.rollback'])
  await transaction.commit()
  assert.ok(log.includes('inner.tpcFinish'))
})

/** A manager with a synchronizer that stops at a latch in newTransaction. */
function stoppedBeginning(explicit: boolean) {
  const latch = new Latch()
  const log: string[] = []
  const synchronizer: Synchronizer = {
    beforeCompletion: () => void log.push('beforeCompletion'),
    afterCompletion: () => void log.push('afterCompletion'),
    newTransaction: () => latch.pass(),
  }
  return { latch, log, synchronizer, manager: new TransactionManager({ explicit }) }
}

test('while begin calls the synchronizers, another begin or a commit from outside is refused and an abort waits', async () => {
  const { latch, log, synchronizer, manager } = stoppedBeginning(false)
  await manager.registerSynch(synchronizer)
  const beginning = manager.begin()
  await latch.reached
  await assertRefused(() => manager.begin(), 'begin', 'begin')
  await assertRefused(() => manager.commit(), 'commit', 'begin')
  const aborting = manager.abort()
  assert.equal(log, [])
  latch.open()
  const transaction = await beginning
  await aborting
  assert.equal(log, ['beforeCompletion', 'afterCompletion'])
  assert.instance(await thrownBy(() => transaction.commit()), TransactionEndedError)
})

test('while begin aborts the last transaction, no other is made from outside that would be lost', async () => {
  const manager = new TransactionManager()
  const latch = new Latch()
  const synchronizer = { beforeCompletion() {}, afterCompletion: () => latch.pass(), newTransaction() {} }
  await manager.registerSynch(synchronizer)
  manager.get()
  const beginning = manager.begin()
  await latch.reached
  await assertRefused(() => manager.get(), 'get', 'begin')
  latch.open()
  assert.is(await beginning, manager.get())
})

test('a synchronizer that begins, from inside begin, is let through', async () => {
  const manager = new TransactionManager()
  const begun: Transaction[] = []
  const synchronizer: Synchronizer = {
    beforeCompletion() {},
    afterCompletion() {},
    async newTransaction(transaction) {
      begun.push(transaction)
      if (begun.length < 3) await manager.begin()
    },
  }
  await manager.registerSynch(synchronizer)
  const outer = await manager.begin()
  assert.is(begun[0], outer)
  assert.is(begun.length, 3)
  assert.is(manager.get(), begun[2])
})

test('a synchronizer registered while a commit is under way is called at once', async () => {
  const { latch, manager, transaction } = await stopped('tpcBegin')
  const told: unknown[] = []
  const synchronizer: Synchronizer = {
    beforeCompletion: () => void told.push('beforeCompletion'),
    afterCompletion: () => void told.push('afterCompletion'),
    newTransaction: (each) => void told.push(each),
  }
  const committing = transaction.commit()
  await latch.reached
  await manager.registerSynch(synchronizer)
  assert.equal(told, [transaction])
  latch.open()
  await committing
  assert.equal(told.slice(1), ['afterCompletion'])
})

test('a call from inside, however deep and however late, is no call from outside', async () => {
  const { log, manager, transaction } = await stopped('abort')
  const seen: unknown[] = []
  transaction.addBeforeCommitHook(async () => {
    await new Promise((resolve) => setImmediate(resolve))
    const other = new TransactionManager()
    // A hook of another transaction, inside this one's commit.
    other.get().addBeforeCommitHook(async () => seen.push((await transaction.savepoint()).valid))
    await other.commit()
  })
  await manager.commit()
  assert.equal(seen, [true])
  assert.is(log[0], 'a.savepoint')
  assert.is(transaction.status, 'Committed')
})

test('a job that a hook leaves running is inside as long as the commit runs, and outside after it', async () => {
  const job = new Latch()
  const manager = new TransactionManager()
  const first = await manager.begin()
  let left: Promise<unknown> = Promise.resolve()
  first.addBeforeCommitHook(() => {
    left = (async () => {
      await job.pass()
      return await thrownBy(() => manager.commit())
    })()
  })
  await manager.commit()
  const inVote = new Latch()
  const second = await manager.begin()
  second.join(new Recorder('a', [], { tpcVote: () => inVote.pass() }))
  const committing = second.commit()
  await inVote.reached
  job.open()
  assert.instance(await left, ConcurrentCallError)
  inVote.open()
  await committing
})

test('two managers commit at the same time without knowing of each other', async () => {
  const one = await stopped('tpcVote')
  const two = await stopped('tpcVote')
  const committing = one.transaction.commit()
  await one.latch.reached
  const alsoCommitting = two.transaction.commit()
  await two.latch.reached
  two.latch.open()
  await alsoCommitting
  assert.equal([one.transaction.status, two.transaction.status], ['Committing', 'Committed'])
  one.latch.open()
  await committing
  assert.is(one.transaction.status, 'Committed')
})

test('of two commits at the same time, a failing one does not touch the other', async () => {
  const one = await stopped('tpcVote')
  const two = await stopped('tpcVote')
  const error = new Error('two fails')
  two.resource.play.commit = () => {
    throw error
  }
  const committing = one.transaction.commit()
  await one.latch.reached
  assert.is(await thrownBy(() => two.transaction.commit()), error)
  one.latch.open()
  await committing
  assert.equal(one.log, ['a.tpcBegin', 'a.commit', 'a.tpcVote', 'a.tpcFinish'])
})

test('a participant may abort in the middle of its own commit: nothing is finished and the commit says so', async () => {
  const log: string[] = []
  const manager = new TransactionManager({ explicit: true })
  const transaction = await manager.begin()
  transaction.join(new Recorder('a', log))
  transaction.join(new Recorder('b', log, { commit: () => transaction.abort() }))
  transaction.join(new Recorder('c', log))
  const error = (await thrownBy(() => transaction.commit())) as TransactionEndedError
  assert.instance(error, TransactionEndedError)
  assert.equal(
    log.filter((call) => /tpcVote|tpcFinish/.test(call)),
    [],
  )
  for (const name of ['a', 'b', 'c']) assert.ok(log.includes(`${name}.abort`) && log.includes(`${name}.tpcAbort`))
  assert.throws(() => manager.get(), /explicit/)
})

test('a transaction that a hook ended is over for those outside while the call that ran the hook goes on', async () => {
  const log: string[] = []
  const latch = new Latch()
  const transaction = await new TransactionManager({ explicit: true }).begin()
  let isNested = false
  transaction.addBeforeAbortHook(async () => {
    // The nested abort runs the hooks once more.
    if (isNested) return
    isNested = true
    await transaction.abort()
    // Inside, the abort goes on and will reach it.
    transaction.join(new Recorder('inside', log))
    await latch.pass()
  })
  const aborting = transaction.abort()
  await latch.reached
  assert.instance(await thrownBy(() => transaction.join(new Recorder('outside', log))), TransactionEndedError)
  latch.open()
  await aborting
  assert.equal(log, ['inside.abort'])
})

test('a participant that aborts once finishing has begun comes too late: it goes on to the last', async () => {
  const log: string[] = []
  const transaction = await new TransactionManager({ explicit: true }).begin()
  transaction.join(new Recorder('a', log, { tpcFinish: () => transaction.abort() }))
  transaction.join(new Recorder('b', log))
  await transaction.commit()
  assert.equal(log.slice(-4), ['a.tpcFinish', 'a.abort', 'b.abort', 'b.tpcFinish'])
  assert.is(transaction.status, 'Committed')
})

test('work that left a savepoint unawaited is not committed half way: run aborts it and says so', async () => {
  const log: string[] = []
  const manager = new TransactionManager({ explicit: true })
  const resource = new SavingRecorder('a', log)
  let left: Promise<unknown> = Promise.resolve()
  const error = await thrownBy(() =>
    manager.run((transaction) => {
      transaction.join(resource)
      left = transaction.savepoint()
    }),
  )
  assert.instance(error, ConcurrentCallError)
  await left
  assert.equal(log, ['a.savepoint', 'a.abort'])
})

test.run()
