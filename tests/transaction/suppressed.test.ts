/** Errors that no caller gets to see. */
import * as assert from 'uvu/assert'
import { type SuppressedWhere, Transaction, TransactionManager } from '../../source/transaction/index.ts'
import { suite } from '../support/suite.ts'
import { warnings } from '../support/warnings.ts'
import { Recorder, thrownBy } from './recorder.ts'

const test = suite('errors that nobody sees')

const throwing = (value: unknown) => () => {
  throw value
}

test('every one is kept, with where it came up, and reported once; the first error is the one thrown', async () => {
  const reported: [unknown, SuppressedWhere][] = []
  const manager = new TransactionManager({ onSuppressedError: (error, where) => void reported.push([error, where]) })
  const transaction = await manager.begin()
  const first = new Error('first')
  const resource = new Recorder('a', [], {
    commit: throwing(first),
    abort: throwing('abort'),
    tpcAbort: throwing('tpcAbort'),
  })
  const hook = throwing('hook')
  transaction.join(resource)
  transaction.addAfterCommitHook(hook)
  assert.is(await thrownBy(() => transaction.commit()), first)
  const expected = [
    { error: 'abort', where: { method: 'abort', participant: resource, transaction } },
    { error: 'tpcAbort', where: { method: 'tpcAbort', participant: resource, transaction } },
    { error: 'hook', where: { method: 'afterCommitHook', participant: hook, transaction } },
    // After the hook every data manager is aborted once more.
    { error: 'abort', where: { method: 'abort', participant: resource, transaction } },
  ]
  assert.equal(transaction.suppressedErrors, expected)
  assert.equal(
    reported,
    expected.map(({ error, where }) => [error, where]),
  )
})

test('an error of afterCompletion takes the place of the one of the commit, which is then reported', async () => {
  const manager = new TransactionManager({ onSuppressedError: () => {} })
  const synchronizer = { beforeCompletion() {}, afterCompletion: throwing('afterCompletion'), newTransaction() {} }
  await manager.registerSynch(synchronizer)
  const transaction = await manager.begin()
  transaction.join(new Recorder('a', [], { tpcVote: throwing('vote') }))
  assert.is(await thrownBy(() => transaction.commit()), 'afterCompletion')
  assert.equal(transaction.suppressedErrors, [{ error: 'vote', where: { method: 'commit', transaction } }])
})

test('in an abort, an error of an afterAbort hook or of afterCompletion takes the place of an earlier one, which is then reported', async () => {
  const manager = new TransactionManager({ onSuppressedError: () => {} })
  const synchronizer = {
    beforeCompletion: throwing('beforeCompletion'),
    afterCompletion: throwing('afterCompletion'),
    newTransaction() {},
  }
  await manager.registerSynch(synchronizer)
  const one = await manager.begin()
  one.addBeforeAbortHook(throwing('beforeAbort'))
  assert.is(await thrownBy(() => one.abort()), 'afterCompletion')
  const errorsOf = (transaction: Transaction) => transaction.suppressedErrors.map(({ error }) => error)
  assert.equal(errorsOf(one), ['beforeAbort', 'beforeCompletion'])
  assert.equal(
    one.suppressedErrors.map(({ where }) => where.method),
    ['beforeAbortHook', 'abort'],
  )
  const two = await manager.begin()
  two.addAfterAbortHook(throwing('afterAbort'))
  assert.is(await thrownBy(() => two.abort()), 'afterAbort')
  assert.equal(errorsOf(two), ['beforeCompletion'])
})

test('an error of the work that the abort of a run replaces is reported', async () => {
  const reported: unknown[] = []
  const manager = new TransactionManager({ onSuppressedError: (error, { method }) => reported.push([error, method]) })
  const run = manager.run((transaction) => {
    transaction.join(new Recorder('a', [], { abort: throwing('abort') }))
    throwing('work')()
  })
  assert.is(await thrownBy(() => run), 'abort')
  assert.equal(reported, [['work', 'run']])
})

test('an error that both the work and the abort of a run throw is not reported: it is seen', async () => {
  const reported: unknown[] = []
  const manager = new TransactionManager({ onSuppressedError: (error) => reported.push(error) })
  const error = new Error('both')
  const run = manager.run((transaction) => {
    transaction.join(new Recorder('a', [], { abort: throwing(error) }))
    throw error
  })
  assert.is(await thrownBy(() => run), error)
  assert.equal(reported, [])
})

test('by default it is a warning of the process, with the stack of the error', async () => {
  const error = new Error('of the hook')
  const seen = await warnings('SQLASSIST_SUPPRESSED_ERROR', async () => {
    const transaction = new Transaction()
    transaction.addAfterCommitHook(throwing(error))
    transaction.addAfterCommitHook(throwing('no error'))
    transaction.addAfterCommitHook(throwing(Object.assign(new Error('bare'), { stack: undefined })))
    await transaction.commit()
  })
  assert.equal(
    seen.map(({ name, message, detail }) => [name, /to anybody: (.*)$/.exec(message)?.[1], detail]),
    [
      ['SqlassistWarning', 'Error: of the hook', error.stack],
      ['SqlassistWarning', "'no error'", "'no error'"],
      ['SqlassistWarning', 'Error: bare', 'Error: bare'],
    ],
  )
})

test('when the reporter itself throws, both errors become warnings and the transaction does not notice', async () => {
  const seen = await warnings('SQLASSIST_SUPPRESSED_ERROR', async () => {
    const manager = new TransactionManager({ onSuppressedError: throwing('reporter') })
    const transaction = await manager.begin()
    transaction.addAfterCommitHook(throwing('hook'))
    await transaction.commit()
    assert.equal(
      transaction.suppressedErrors.map(({ error }) => error),
      ['hook'],
    )
  })
  assert.equal(
    seen.map(({ message }) => message),
    [
      "An error in afterCommitHook of a transaction was not thrown to anybody: 'hook'",
      "An error in onSuppressedError of a transaction was not thrown to anybody: 'reporter'",
    ],
  )
})

test('a transaction without such errors has none', () => {
  assert.equal(new Transaction().suppressedErrors, [])
})

test.run()
