import { readFile } from 'node:fs/promises'
import { inspect } from 'node:util'
import * as assert from 'uvu/assert'
import * as core from '../../source/transaction/index.ts'
import { suite } from '../support/suite.ts'

const test = suite('errors')

const { SqlassistError, TransactionError, transactionErrorCodes } = core
const transaction = { status: 'Active', description: '' } as const
const made: Readonly<Record<string, core.TransactionError>> = {
  AlreadyInTransactionError: new core.AlreadyInTransactionError('message'),
  CallTimeoutError: new core.CallTimeoutError('abort', {}, 1),
  ConcurrentCallError: new core.ConcurrentCallError('abort', 'commit'),
  DoomedTransactionError: new core.DoomedTransactionError('message'),
  InvalidSavepointRollbackError: new core.InvalidSavepointRollbackError('message'),
  NoTransactionError: new core.NoTransactionError('message'),
  SavepointUnsupportedError: new core.SavepointUnsupportedError('message'),
  TransactionEndedError: new core.TransactionEndedError('join', transaction),
  TransactionFailedError: new core.TransactionFailedError('message'),
  TransactionUsageError: new core.TransactionUsageError('SQLASSIST_NO_DATA', 'message'),
  TransientError: new core.TransientError('message'),
}

test('every error class of the core is below TransactionError and SqlassistError and says its own name', () => {
  const exported = Object.entries(core as Record<string, unknown>)
    .filter(([name]) => name.endsWith('Error'))
    .map(([name]) => name)
  assert.equal(exported.toSorted(), [...Object.keys(made), 'SqlassistError', 'TransactionError'].toSorted())
  for (const [name, error] of Object.entries(made)) {
    assert.instance(error, TransactionError)
    assert.instance(error, SqlassistError)
    assert.instance(error, Error)
    assert.is(error.name, name)
    assert.is(error.constructor.name, name)
    assert.ok(error.stack?.startsWith(`${name}: ${error.message}`), error.stack)
    assert.match(inspect(error), `code: '${error.code}'`)
  }
  assert.equal([new TransactionError('').name, new SqlassistError('').name], ['TransactionError', 'SqlassistError'])
  assert.is(new SqlassistError('message').code, 'SQLASSIST_ERROR')
})

test('the codes are a closed set: every one is used by an error, and no error has another', async () => {
  const source = await readFile(new URL('../../source/transaction/errors.ts', import.meta.url), 'utf8')
  const listEnd = source.indexOf('] as const')
  assert.ok(listEnd > 0)
  const inSource = new Set(source.slice(listEnd).match(/SQLASSIST_[A-Z_]+(?=')/g))
  assert.equal([...inSource].toSorted(), [...transactionErrorCodes].toSorted())
  assert.equal([...transactionErrorCodes], [...new Set(transactionErrorCodes)].toSorted())
  for (const { code } of Object.values(made))
    assert.ok(transactionErrorCodes.includes(code as core.TransactionErrorCode))
})

test('an error is made with a cause, and a subclass elsewhere with a name and a code of its own', () => {
  class ReadOnlySessionError extends SqlassistError {
    static {
      this.prototype.name = 'ReadOnlySessionError'
    }
    override readonly code = 'SQLASSIST_READ_ONLY_SESSION'
  }
  const cause = new Error('beneath')
  const error = new ReadOnlySessionError('the session only reads', { cause })
  assert.equal(
    [error.name, error.code, error.message],
    ['ReadOnlySessionError', 'SQLASSIST_READ_ONLY_SESSION', 'the session only reads'],
  )
  assert.is(error.cause, cause)
  assert.not('cause' in new ReadOnlySessionError('without'))
  assert.is(new SqlassistError('the root').name, 'SqlassistError')
})

test('a message names who is meant as well as it can', () => {
  class Session {
    readonly role = 'writer'
  }
  const message = (participant: object) => new core.CallTimeoutError('abort', participant, 1).message
  assert.match(message(new Session()), 'abort of Session did')
  assert.match(message({}), 'abort of an unnamed participant did')
  assert.match(message(Object.create(null) as object), 'abort of an unnamed participant did')
  assert.match(
    message(() => {}),
    'abort of an unnamed participant did',
  )
  assert.match(
    message(function sendMail() {}),
    'abort of sendMail did',
  )
})

test('the states are those of Zope', () => {
  assert.equal([...core.transactionStatuses], ['Active', 'Doomed', 'Committing', 'Committed', 'Commit failed'])
})

test.run()
