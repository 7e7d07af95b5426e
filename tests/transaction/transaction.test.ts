import * as assert from 'uvu/assert'
import { Transaction, type TransactionError, TransactionManager } from '../../source/transaction/index.ts'
import { suite } from '../support/suite.ts'
import { Recorder, SavingRecorder, thrownBy } from './recorder.ts'
import { warnings } from '../support/warnings.ts'

const test = suite('a transaction')

test('an implicit manager has a transaction at once; an explicit one only between begin and its end', async () => {
  const implicit = new TransactionManager()
  assert.is(implicit.explicit, false)
  assert.is(implicit.get(), implicit.get())
  const explicit = new TransactionManager({ explicit: true })
  assert.is(explicit.explicit, true)
  const noTransaction = (error: TransactionError) => error.code === 'SQLASSIST_NO_TRANSACTION'
  assert.throws(() => explicit.get(), noTransaction)
  assert.throws(() => explicit.doom(), noTransaction)
  assert.throws(() => explicit.isDoomed(), noTransaction)
  for (const call of ['commit', 'abort', 'savepoint'] as const) {
    assert.ok(noTransaction((await thrownBy(() => explicit[call]())) as TransactionError), call)
  }
  const transaction = await explicit.begin()
  assert.is(explicit.get(), transaction)
  const error = (await thrownBy(() => explicit.begin())) as TransactionError
  assert.is(error.code, 'SQLASSIST_ALREADY_IN_TRANSACTION')
  assert.match(error.message, 'status Active')
  await explicit.commit()
  assert.throws(() => explicit.get(), noTransaction)
})

test('an empty transaction is begun and ended without a turn of the event loop', async () => {
  const manager = new TransactionManager({ explicit: true })
  const answers = [manager.begin(), manager.abort(), manager.begin(), manager.commit(), manager.begin()]
  assert.is(manager.get().status, 'Active')
  await Promise.all(answers)
})

test('hooks that have run and synchronizers that have gone are nobody to wait for', async () => {
  const manager = new TransactionManager({ explicit: true })
  const synchronizer = { beforeCompletion() {}, afterCompletion() {}, newTransaction() {} }
  await manager.registerSynch(synchronizer)
  manager.unregisterSynch(synchronizer)
  const answers: Promise<unknown>[] = [manager.begin()]
  const transaction = manager.get()
  transaction.addBeforeCommitHook(() => Promise.reject(new Error('broken off')))
  assert.is(String(await thrownBy(() => manager.commit())), 'Error: broken off')
  answers.push(manager.commit())
  assert.is(transaction.status, 'Committed')
  await Promise.all(answers)
})

test('hooks are listed until they ran, with their arguments', async () => {
  const transaction = await new TransactionManager().begin()
  const ran: unknown[] = []
  const hook = (...args: unknown[]) => ran.push(args)
  transaction.addBeforeCommitHook(hook, 1)
  transaction.addBeforeCommitHook(hook)
  transaction.addAfterCommitHook(hook, 'two', 3)
  transaction.addBeforeAbortHook(hook, 4)
  transaction.addAfterAbortHook(hook, 5)
  assert.equal(transaction.beforeCommitHooks, [
    { hook, args: [1] },
    { hook, args: [] },
  ])
  assert.equal(transaction.afterCommitHooks, [{ hook, args: ['two', 3] }])
  assert.equal(transaction.beforeAbortHooks, [{ hook, args: [4] }])
  assert.equal(transaction.afterAbortHooks, [{ hook, args: [5] }])
  await transaction.commit()
  assert.equal(ran, [[1], [], [true, 'two', 3]])
  assert.equal([transaction.beforeCommitHooks, transaction.afterCommitHooks], [[], []])
})

test('a transaction without hooks lists none', () => {
  const transaction = new Transaction()
  const lists = [transaction.beforeCommitHooks, transaction.afterCommitHooks]
  assert.equal([...lists, transaction.beforeAbortHooks, transaction.afterAbortHooks], [[], [], [], []])
})

test('one afterCommit hook means one more abort for every data manager, after tpcFinish', async () => {
  const log: string[] = []
  const transaction = await new TransactionManager().begin()
  transaction.join(new Recorder('b', log))
  transaction.join(new Recorder('a', log))
  transaction.addAfterCommitHook(() => log.push('hook'))
  await transaction.commit()
  assert.equal(log.slice(-4), ['b.tpcFinish', 'hook', 'b.abort', 'a.abort'])
})

test('data is kept by the identity of the object until the end', async () => {
  const transaction = await new TransactionManager().begin()
  const [one, other] = [{}, {}]
  transaction.setData(one, undefined)
  transaction.setData(one, 'second')
  assert.is(transaction.data(one), 'second')
  const error = (await thrownBy(() => transaction.data(other))) as TransactionError
  assert.is(error.code, 'SQLASSIST_NO_DATA')
  assert.match(error.message, 'an unnamed participant')
  assert.match(String(await thrownBy(() => transaction.data(transaction))), 'keeps nothing for Transaction')
})

test('notes, user, description and extension', async () => {
  const transaction = new Transaction()
  assert.equal([transaction.user, transaction.description, transaction.extension], ['', '', {}])
  transaction.note('  one ')
  transaction.note(null)
  transaction.note('two')
  assert.is(transaction.description, 'one\ntwo')
  transaction.description = null
  transaction.description = 'three'
  transaction.user = 'plain'
  assert.equal([transaction.user, transaction.description], ['plain', 'three'])
  transaction.setUser('ann', 'acl')
  transaction.setExtendedInfo('key', 1)
  transaction.setExtendedInfo('other', 2)
  assert.equal([transaction.user, transaction.extension], ['acl ann', { key: 1, other: 2 }])
  for (const nothing of [null, undefined]) {
    const error = (await thrownBy(() => (transaction.user = nothing as unknown as string))) as TransactionError
    assert.is(error.code, 'SQLASSIST_USER_NULL')
    assert.match(error.message, `was set to ${nothing}`)
  }
})

test('what is no text is taken as text, with a warning', async () => {
  const transaction = new Transaction()
  const seen = await warnings('SQLASSIST_TEXT_EXPECTED', async () => {
    transaction.note(42 as unknown as string)
    transaction.note('text')
    transaction.user = 7 as unknown as string
    transaction.setUser('ann')
    transaction.user = 'ben'
  })
  assert.equal([transaction.description, transaction.user], ['42\ntext', 'ben'])
  assert.equal(
    seen.map(({ name, message }) => [name, /got .*$/.exec(message)?.[0]]),
    [
      ['SqlassistWarning', 'got number 42.'],
      ['SqlassistWarning', 'got number 7.'],
    ],
  )
})

test('sort keys are compared character by character, not by language, number or half of a character', async () => {
  const log: string[] = []
  const transaction = await new TransactionManager().begin()
  const sorted = [
    '',
    '10',
    '9',
    'B',
    'a',
    'a b',
    'a.b',
    'aa',
    '\uE000',
    '\uFF5E',
    '\u{10000}',
    '\u{1F600}',
    '\u{1F600}a',
    '\u{1F601}',
  ]
  for (const key of [...sorted.toReversed(), 'aa']) transaction.join(new Recorder(key, log))
  await transaction.commit()
  const begun = log.filter((call) => call.endsWith('.tpcBegin')).map((call) => call.slice(0, -'.tpcBegin'.length))
  assert.equal(begun, sorted.toSpliced(sorted.indexOf('aa'), 0, 'aa'))
})

test('data managers that joined after a savepoint leave the transaction when it is rolled back', async () => {
  const log: string[] = []
  const transaction = await new TransactionManager().begin()
  const early = new SavingRecorder('early', log)
  transaction.join(early)
  const savepoint = await transaction.savepoint()
  const later = await transaction.savepoint({ optimistic: true })
  transaction.join(new Recorder('late', log))
  await savepoint.rollback()
  assert.equal([savepoint.valid, later.valid], [true, false])
  const error = (await thrownBy(() => later.rollback())) as TransactionError
  assert.equal([error.name, error.code], ['InvalidSavepointRollbackError', 'SQLASSIST_INVALID_SAVEPOINT'])
  log.length = 0
  await transaction.commit()
  assert.equal(log, ['early.tpcBegin', 'early.commit', 'early.tpcVote', 'early.tpcFinish'])
  assert.is(savepoint.valid, false)
})

test('without savepoints of its own, a data manager fails a savepoint, and an optimistic one when it is rolled back', async () => {
  for (const optimistic of [false, true]) {
    const log: string[] = []
    const transaction = await new TransactionManager().begin()
    transaction.join(new SavingRecorder('a', log))
    transaction.join(new Recorder('b', log))
    const error = (await thrownBy(
      async () => await (await transaction.savepoint({ optimistic })).rollback(),
    )) as TransactionError
    assert.is(error.code, 'SQLASSIST_SAVEPOINT_UNSUPPORTED')
    assert.match(error.message, 'The data manager Recorder has no savepoint()')
    assert.is(transaction.status, 'Commit failed')
    assert.equal(log.slice(0, 2), ['a.savepoint', optimistic ? 'a.rollback' : 'a.abort'])
  }
})

test('a savepoint may be answered at once', async () => {
  const transaction = await new TransactionManager().begin()
  const rolledBack: number[] = []
  const resource = Object.assign(new Recorder('a', []), {
    savepoint: () => ({ rollback: () => void rolledBack.push(1) }),
  })
  transaction.join(resource)
  const savepoint = await transaction.savepoint()
  await savepoint.rollback()
  await savepoint.rollback()
  assert.equal(rolledBack, [1, 1])
})

test('a manager forgets only its current transaction', async () => {
  const manager = new TransactionManager({ explicit: true })
  const transaction = await manager.begin()
  const foreign = (error: TransactionError) => error.code === 'SQLASSIST_FOREIGN_TRANSACTION'
  assert.throws(() => manager.free(new Transaction()), foreign)
  manager.free(transaction)
  assert.throws(() => manager.free(transaction), foreign)
  // It finds out at the end, when everything is committed.
  assert.ok(foreign((await thrownBy(() => transaction.commit())) as TransactionError))
  assert.is(transaction.status, 'Committed')
})

test('an abort of a transaction that the manager forgot says so; what an abort hook threw is reported', async () => {
  const manager = new TransactionManager({ explicit: true, onSuppressedError: () => {} })
  const transaction = await manager.begin()
  manager.free(transaction)
  const error = new Error('the hook')
  transaction.addAfterAbortHook(() => {
    throw error
  })
  const thrown = (await thrownBy(() => transaction.abort())) as TransactionError
  assert.is(thrown.code, 'SQLASSIST_FOREIGN_TRANSACTION')
  assert.equal(transaction.suppressedErrors, [{ error, where: { method: 'abort', transaction } }])
})

test('a transaction without a manager commits and aborts as any other', async () => {
  const log: string[] = []
  const [committed, aborted] = [new Transaction(), new Transaction()]
  const later = async () => await new Promise<void>((resolve) => setImmediate(resolve))
  for (const transaction of [committed, aborted]) {
    transaction.join(new Recorder('a', log, { tpcVote: later, abort: later }))
    assert.is(await transaction.isRetryableError(new Error('for good')), false)
  }
  await committed.commit()
  await aborted.abort()
  assert.equal(log, ['a.tpcBegin', 'a.commit', 'a.tpcVote', 'a.tpcFinish', 'a.abort'])
})

test('doom is for active transactions only', async () => {
  const transaction = await new TransactionManager().begin()
  const errors: unknown[] = []
  transaction.addAfterCommitHook(async () => errors.push(await thrownBy(() => transaction.doom())))
  await transaction.commit()
  assert.equal(
    errors.map((error) => (error as TransactionError).code),
    ['SQLASSIST_DOOM_STATUS'],
  )
  assert.ok(String(errors[0]).includes('Error: doom: the transaction is in the state Committed; only an Active one'))
})

test.run()
