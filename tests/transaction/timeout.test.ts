/** `timeoutMs`: what becomes of a transaction when somebody never answers. */
import process from 'node:process'
import * as assert from 'uvu/assert'
import { CallTimeoutError, type Synchronizer, TransactionManager } from '../../source/transaction/index.ts'
import { suite } from '../support/suite.ts'
import { forever, Latch, Recorder, SavingRecorder, thrownBy } from './recorder.ts'

const test = suite('participants that never answer')

const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length

async function begun(timeoutMs = 1) {
  const log: string[] = []
  const manager = new TransactionManager({ explicit: true, timeoutMs, onSuppressedError: () => {} })
  return { log, manager, transaction: await manager.begin() }
}

function assertTimeout(error: unknown, method: string, participant: object): void {
  assert.instance(error, CallTimeoutError)
  const { code, method: found, participant: who, timeoutMs } = error as CallTimeoutError
  assert.equal([code, found, timeoutMs], ['SQLASSIST_CALL_TIMEOUT', method, 1])
  assert.is(who, participant)
}

for (const method of ['tpcBegin', 'commit', 'tpcVote'] as const) {
  test(`a ${method} that never answers fails the commit: nothing is finished and everybody is cleaned up`, async () => {
    const { log, transaction } = await begun()
    const hanging = new Recorder('b', log, { [method]: forever })
    for (const resource of [new Recorder('a', log), hanging, new Recorder('c', log)]) transaction.join(resource)
    assertTimeout(await thrownBy(() => transaction.commit()), method, hanging)
    assert.is(transaction.status, 'Commit failed')
    assert.is(
      log.some((call) => call.endsWith('tpcFinish')),
      false,
    )
    assert.equal(log.slice(-3), ['a.tpcAbort', 'b.tpcAbort', 'c.tpcAbort'])
    await transaction.abort()
  })
}

test('a tpcFinish that never answers fails the commit as any error of tpcFinish does: the outcome is not known', async () => {
  const { log, transaction } = await begun()
  const hanging = new Recorder('a', log, { tpcFinish: forever })
  transaction.join(hanging)
  assertTimeout(await thrownBy(() => transaction.commit()), 'tpcFinish', hanging)
  assert.is(transaction.status, 'Commit failed')
})

test('an abort that never answers does not keep the others from being called; the transaction has ended', async () => {
  const { log, manager, transaction } = await begun()
  const hanging = new Recorder('a', log, { abort: forever })
  transaction.join(hanging)
  transaction.join(new Recorder('b', log))
  assertTimeout(await thrownBy(() => transaction.abort()), 'abort', hanging)
  assert.equal(log, ['a.abort', 'b.abort'])
  await manager.begin()
})

test('a clean-up that never answers is reported, and the error that caused it comes out', async () => {
  const { transaction } = await begun()
  const error = new Error('vote')
  const hanging = new Recorder('a', [], {
    tpcAbort: forever,
    tpcVote() {
      throw error
    },
  })
  transaction.join(hanging)
  assert.is(await thrownBy(() => transaction.commit()), error)
  assertTimeout(transaction.suppressedErrors[0]?.error, 'tpcAbort', hanging)
})

test('a beforeCommit hook that never answers breaks the commit off; it may be tried again', async () => {
  const { log, transaction } = await begun()
  transaction.join(new Recorder('a', log))
  transaction.addBeforeCommitHook(forever)
  assertTimeout(await thrownBy(() => transaction.commit()), 'beforeCommitHook', forever)
  assert.equal(log, [])
  await transaction.commit()
})

test('an afterCommit hook that never answers is reported; what is committed is committed', async () => {
  const { transaction } = await begun()
  transaction.addAfterCommitHook(forever)
  await transaction.commit()
  assertTimeout(transaction.suppressedErrors[0]?.error, 'afterCommitHook', forever)
})

test('a savepoint, and a rollback, that never answers fails the transaction', async () => {
  for (const place of ['onSavepoint', 'onRollback'] as const) {
    const { log, transaction } = await begun()
    const hanging = new SavingRecorder('a', log)
    hanging[place] = forever
    transaction.join(hanging)
    const error = await thrownBy(async () => await (await transaction.savepoint()).rollback())
    assertTimeout(error, place === 'onSavepoint' ? 'savepoint' : 'rollback', hanging)
    assert.is(transaction.status, 'Commit failed')
  }
})

test('a synchronizer that never answers fails the call it was part of', async () => {
  const { manager, transaction } = await begun()
  const synchronizer: Synchronizer = { beforeCompletion: forever, afterCompletion() {}, newTransaction: forever }
  assertTimeout(await thrownBy(() => manager.registerSynch(synchronizer)), 'newTransaction', synchronizer)
  assertTimeout(await thrownBy(() => transaction.commit()), 'beforeCompletion', synchronizer)
  assertTimeout(await thrownBy(() => transaction.abort()), 'beforeCompletion', synchronizer)
  assertTimeout(await thrownBy(() => manager.begin()), 'newTransaction', synchronizer)
})

test('a data manager that never says whether to retry fails the run with that', async () => {
  const { manager, transaction } = await begun()
  await transaction.abort()
  const hanging = Object.assign(new Recorder('a', []), { shouldRetry: forever })
  const error = await thrownBy(() =>
    manager.run((each) => {
      each.join(hanging)
      throw new Error('the work')
    }),
  )
  assertTimeout(error, 'shouldRetry', hanging)
})

test('an answer that comes too late is dropped, and an error that comes too late is reported', async () => {
  const { transaction } = await begun()
  const [late, failing] = [new Latch(), new Latch()]
  const error = new Error('too late')
  const fail = async () => {
    await failing.pass()
    throw error
  }
  transaction.addAfterCommitHook(() => late.pass())
  transaction.addAfterCommitHook(fail)
  await transaction.commit()
  assert.equal(
    transaction.suppressedErrors.map((each) => (each.error as Error).name),
    ['CallTimeoutError', 'CallTimeoutError'],
  )
  late.open()
  failing.open()
  await new Promise((resolve) => setImmediate(resolve))
  assert.is(transaction.suppressedErrors.length, 3)
  assert.equal(transaction.suppressedErrors[2], {
    error,
    where: { method: 'afterCommitHook', participant: fail, transaction },
  })
})

test('no timer is left behind by a commit in time, and none is made for who answers at once', async () => {
  const before = timers()
  const { log, transaction } = await begun(2_147_483_647)
  const seen: number[] = []
  const yes = async () => {
    await Promise.resolve()
    seen.push(timers() - before)
  }
  transaction.join(new Recorder('a', log, { tpcBegin: yes, commit: () => void seen.push(timers() - before) }))
  await transaction.commit()
  assert.equal(seen, [1, 0])
  assert.is(timers() - before, 0)
})

test('without timeoutMs nobody is hurried: there is no timer at all', async () => {
  const before = timers()
  const transaction = await new TransactionManager().begin()
  const latch = new Latch()
  transaction.join(new Recorder('a', [], { tpcVote: () => latch.pass() }))
  const committing = transaction.commit()
  await latch.reached
  assert.is(timers() - before, 0)
  latch.open()
  await committing
})

test('no timer is left behind by a commit that fails in time', async () => {
  const before = timers()
  const { log, transaction } = await begun(2_147_483_647)
  const no = async () => await Promise.reject(new Error('no'))
  transaction.join(new Recorder('a', log, { tpcVote: no, tpcAbort: no }))
  assert.is(String(await thrownBy(() => transaction.commit())), 'Error: no')
  assert.is(timers() - before, 0)
})

for (const timeoutMs of [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2_147_483_648]) {
  test(`timeoutMs of ${timeoutMs} is refused`, async () => {
    const error = (await thrownBy(() => new TransactionManager({ timeoutMs }))) as { code: string; message: string }
    assert.is(error.code, 'SQLASSIST_INVALID_TIMEOUT')
    assert.match(error.message, String(timeoutMs))
  })
}

test.run()
