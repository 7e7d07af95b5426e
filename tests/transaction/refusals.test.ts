/** What Zope permits by accident and this library refuses, and how it says so. */
import * as assert from 'uvu/assert'
import {
  Transaction,
  TransactionEndedError,
  type TransactionError,
  TransactionFailedError,
  TransactionManager,
  TransactionUsageError,
} from '../../source/transaction/index.ts'
import { suite } from '../support/suite.ts'
import { Recorder, SavingRecorder, thrownBy } from './recorder.ts'

const test = suite('refusals')

/** Every call that would change a transaction. */
const changes: Readonly<Record<string, (transaction: Transaction) => unknown>> = {
  join: (transaction) => transaction.join(new Recorder('late', [])),
  commit: (transaction) => transaction.commit(),
  doom: (transaction) => transaction.doom(),
  savepoint: (transaction) => transaction.savepoint(),
  setData: (transaction) => transaction.setData({}, 1),
  setExtendedInfo: (transaction) => transaction.setExtendedInfo('key', 1),
  addBeforeCommitHook: (transaction) => transaction.addBeforeCommitHook(() => {}),
  addAfterCommitHook: (transaction) => transaction.addAfterCommitHook(() => {}),
  addBeforeAbortHook: (transaction) => transaction.addBeforeAbortHook(() => {}),
  addAfterAbortHook: (transaction) => transaction.addAfterAbortHook(() => {}),
}

const endings: Readonly<Record<string, (transaction: Transaction, manager: TransactionManager) => unknown>> = {
  'a commit': (transaction) => transaction.commit(),
  'a commit through the manager': (_, manager) => manager.commit(),
  'an abort': (transaction) => transaction.abort(),
  'the begin of an implicit manager': (_, manager) => manager.begin(),
  'doom and abort': async (transaction) => {
    transaction.doom()
    await transaction.abort()
  },
  'a failed commit and an abort': async (transaction) => {
    transaction.join(new Recorder('failing', [], { commit: () => Promise.reject(new Error('it failed')) }))
    await transaction.commit().catch(() => {})
    await transaction.abort()
  },
}

for (const [ending, end] of Object.entries(endings)) {
  for (const isBare of [false, true]) {
    if (isBare && ending.includes('manager')) continue
    test(`after ${ending} ${isBare ? 'a bare' : 'the'} transaction refuses every change, and says so`, async () => {
      const manager = new TransactionManager()
      const transaction = isBare ? new Transaction() : await manager.begin()
      transaction.note('GET /articles')
      await end(transaction, manager)
      const { status } = transaction
      for (const [operation, change] of Object.entries(changes)) {
        const error = (await thrownBy(() => change(transaction))) as TransactionEndedError
        assert.instance(error, TransactionEndedError)
        assert.equal([error.operation, error.status], [operation, status])
        assert.is(error.outcome, status === 'Committed' ? 'committed' : 'aborted')
        assert.match(error.message, `${operation}: the transaction "GET /articles" has already been ${error.outcome}`)
        assert.match(error.message, 'begin a new one with manager.begin()')
        assert.is((error.cause as Error | undefined)?.message, status === 'Commit failed' ? 'it failed' : undefined)
      }
      assert.is(transaction.status, status)
    })
  }
}

test('after its end a transaction can still be read and annotated', async () => {
  const transaction = await new TransactionManager().begin()
  transaction.setUser('ann')
  transaction.setExtendedInfo('key', 'value')
  const object = {}
  transaction.setData(object, 'kept')
  transaction.addBeforeAbortHook(() => {})
  transaction.addAfterAbortHook(() => {})
  await transaction.commit()
  transaction.note('noted later')
  assert.equal(
    [transaction.user, transaction.description, transaction.extension, transaction.isDoomed()],
    ['/ ann', 'noted later', null, false],
  )
  assert.equal([transaction.beforeAbortHooks, transaction.afterAbortHooks], [[], []])
  assert.throws(
    () => transaction.data(object),
    (error: TransactionError) => error.code === 'SQLASSIST_NO_DATA',
  )
  assert.is(await transaction.isRetryableError(new Error('whatever')), false)
})

test('an abort after an abort does nothing; an abort after a commit is refused, since it could undo nothing', async () => {
  const manager = new TransactionManager()
  const log: string[] = []
  const aborted = await manager.begin()
  aborted.join(new Recorder('a', log))
  await aborted.abort()
  await aborted.abort()
  assert.equal(log, ['a.abort'])
  const committed = await manager.begin()
  committed.join(new Recorder('b', log))
  await committed.commit()
  log.length = 0
  const error = (await thrownBy(() => committed.abort())) as TransactionEndedError
  assert.instance(error, TransactionEndedError)
  assert.equal([error.operation, error.outcome], ['abort', 'committed'])
  assert.equal(log, [])
})

test('recommit: a second commit from inside the two phases is refused and the first goes on', async () => {
  const log: string[] = []
  const transaction = await new TransactionManager().begin()
  const errors: unknown[] = []
  const commit = async () => void errors.push(await thrownBy(() => transaction.commit()))
  transaction.join(new Recorder('a', log, { commit, tpcFinish: commit }))
  transaction.addAfterCommitHook(commit)
  await transaction.commit()
  assert.equal(
    errors.map((error) => [(error as TransactionUsageError).code, /state (\w+)/.exec(String(error))?.[1]]),
    [
      ['SQLASSIST_COMMIT_STATUS', 'Committing'],
      ['SQLASSIST_COMMIT_STATUS', 'Committing'],
      ['SQLASSIST_COMMIT_STATUS', 'Committed'],
    ],
  )
  assert.ok(
    String(errors[0]).includes('Error: commit: the transaction is in the state Committing; it is committed once'),
  )
  assert.equal(log, ['a.tpcBegin', 'a.commit', 'a.tpcVote', 'a.tpcFinish', 'a.abort'])
})

test('recommit: when afterCompletion fails, the Committed transaction is not committed twice, and abort lets go of it', async () => {
  const log: string[] = []
  const manager = new TransactionManager({ explicit: true })
  const error = new Error('afterCompletion')
  let isBroken = true
  const synchronizer = {
    beforeCompletion() {},
    afterCompletion() {
      if (isBroken) throw error
    },
    newTransaction() {},
  }
  await manager.registerSynch(synchronizer)
  const transaction = await manager.begin()
  transaction.join(new Recorder('a', log))
  assert.is(await thrownBy(() => manager.commit()), error)
  isBroken = false
  assert.is(manager.get(), transaction)
  assert.is(transaction.status, 'Committed')
  log.length = 0
  const refusal = (await thrownBy(() => manager.commit())) as TransactionUsageError
  assert.instance(refusal, TransactionUsageError)
  assert.is(refusal.code, 'SQLASSIST_COMMIT_STATUS')
  assert.equal(log, [])
  await manager.abort()
  await manager.begin()
})

test('late-savepoint: a savepoint is refused once the two phases have begun', async () => {
  const transaction = await new TransactionManager().begin()
  const errors: unknown[] = []
  const savepoint = async () => void errors.push(await thrownBy(() => transaction.savepoint()))
  const resource = new SavingRecorder('a', [], { tpcBegin: savepoint })
  transaction.join(resource)
  transaction.addAfterCommitHook(savepoint)
  await transaction.commit()
  assert.equal(
    errors.map((error) => (error as TransactionUsageError).code),
    ['SQLASSIST_SAVEPOINT_STATUS', 'SQLASSIST_SAVEPOINT_STATUS'],
  )
  assert.ok(String(errors[0]).includes('Error: savepoint: the transaction is in the state Committing; there is no way'))
  assert.is(resource.log.includes('a.savepoint'), false)
})

test('a failed transaction refuses join, commit and savepoint with what it failed of, and can be aborted', async () => {
  const log: string[] = []
  const manager = new TransactionManager({ explicit: true })
  const transaction = await manager.begin()
  const error = new RangeError('out of it')
  transaction.join(new Recorder('a', log, { commit: () => Promise.reject(error) }))
  await transaction.commit().catch(() => {})
  for (const operation of ['join', 'commit', 'savepoint'] as const) {
    const failed = (await thrownBy(() => changes[operation]?.(transaction))) as TransactionFailedError
    assert.instance(failed, TransactionFailedError)
    assert.is(failed.cause, error)
    assert.ok(failed.message.startsWith(`${operation}: the transaction failed earlier (RangeError: out of it) and`))
  }
  await manager.abort()
})

test('a doomed transaction does everything but commit', async () => {
  const log: string[] = []
  const manager = new TransactionManager({ explicit: true })
  const transaction = await manager.begin()
  manager.doom()
  transaction.doom()
  assert.is(manager.isDoomed(), true)
  transaction.join(new SavingRecorder('a', log))
  const savepoint = await manager.savepoint()
  const error = (await thrownBy(() => manager.commit())) as TransactionError
  assert.equal([error.name, error.code], ['DoomedTransactionError', 'SQLASSIST_TRANSACTION_DOOMED'])
  await savepoint.rollback()
  await manager.abort()
  assert.equal(log, ['a.savepoint', 'a.rollback', 'a.abort'])
})

test('two data managers cannot be committed if one has no sort key: the commit fails before anybody is called', async () => {
  const log: string[] = []
  const transaction = await new TransactionManager().begin()
  const keyless = Object.assign(new Recorder('a', log), { sortKey: undefined })
  transaction.join(keyless)
  transaction.join(new Recorder('b', log))
  const error = (await thrownBy(() => transaction.commit())) as TransactionUsageError
  assert.is(error.code, 'SQLASSIST_NO_SORT_KEY')
  assert.match(error.message, 'The data manager Recorder has no sortKey')
  assert.equal(log, [])
  assert.is(transaction.status, 'Commit failed')
})

test('a manager may refuse data managers: who is not admitted has not joined', async () => {
  const log: string[] = []
  const refusal = new Error('sessions only')
  const manager = new TransactionManager({
    admit(resource) {
      if (!(resource instanceof SavingRecorder)) throw refusal
    },
  })
  const transaction = await manager.begin()
  transaction.join(new SavingRecorder('a', log))
  assert.is(await thrownBy(() => transaction.join(new Recorder('b', log))), refusal)
  await transaction.commit()
  assert.equal(log, ['a.tpcBegin', 'a.commit', 'a.tpcVote', 'a.tpcFinish'])
})

test.run()
