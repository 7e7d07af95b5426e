/** Misuse that the types refuse. Checked by tsc, never run. */
import {
  type AfterCommitHook,
  type DataManager,
  type Hook,
  type Savepoint,
  SqlassistError,
  type Synchronizer,
  type Transaction,
  type TransactionError,
  type TransactionErrorCode,
  TransactionManager,
  type TransactionStatus,
  TransactionUsageError,
  TransientError,
} from '../../source/transaction/index.ts'

declare const manager: TransactionManager
declare const transaction: Transaction
declare const savepoint: Savepoint
declare const complete: {
  abort(): void
  tpcBegin(): void
  commit(transaction: Transaction): Promise<void>
  tpcVote(): void
  tpcFinish(): Promise<void>
  tpcAbort(): void
  sortKey(): string
}
declare const { tpcVote: _vote, ...withoutVote }: typeof complete

export async function misuse(): Promise<void> {
  // Where what is made for its type alone ends up.
  const used: unknown[] = []
  transaction.join(complete)
  // @ts-expect-error a data manager without tpcVote
  transaction.join(withoutVote)
  // @ts-expect-error a sort key that is no text
  transaction.join({ ...complete, sortKey: () => 1 })
  // @ts-expect-error a sort key that has to be waited for
  transaction.join({ ...complete, sortKey: async () => 'key' })
  // @ts-expect-error a vote that gives an answer: it throws, or it does not
  transaction.join({ ...complete, tpcVote: () => true })
  // @ts-expect-error a savepoint that cannot be rolled back
  transaction.join({ ...complete, savepoint: () => ({}) })
  transaction.join({ ...complete, savepoint: async () => ({ rollback() {} }), shouldRetry: async () => true })

  transaction.addBeforeCommitHook((text: string, count: number) => text.repeat(count), 'text', 2)
  // @ts-expect-error an argument of the wrong type
  transaction.addBeforeCommitHook((count: number) => count, 'text')
  // @ts-expect-error an argument is missing
  transaction.addAfterAbortHook((text: string) => text)
  transaction.addAfterCommitHook((committed) => committed && Promise.resolve())
  transaction.addAfterCommitHook((committed, text) => [committed satisfies boolean, text satisfies string], 'text')
  // @ts-expect-error an afterCommit hook gets whether the commit succeeded first
  transaction.addAfterCommitHook((text: string) => text, 'text')
  // @ts-expect-error a hook is a function
  transaction.addBeforeAbortHook('hook')
  const hook: Hook<[string]> = (text) => text.length
  const afterCommit: AfterCommitHook<[string]> = (committed, text) => [committed, text]
  transaction.addBeforeAbortHook(hook, 'text')
  transaction.addAfterCommitHook(afterCommit, 'text')

  // @ts-expect-error a synchronizer that would not hear the end
  const deaf: Synchronizer = { beforeCompletion() {}, newTransaction() {} }
  await manager.registerSynch(deaf)

  // @ts-expect-error the state is read only
  transaction.status = 'Active'
  // @ts-expect-error so are the lists
  transaction.beforeCommitHooks.push({ hook, args: [] })
  // @ts-expect-error and what was suppressed
  transaction.suppressedErrors.length = 0
  // @ts-expect-error an extension is added to by setExtendedInfo
  transaction.extension.key = 'value'
  // @ts-expect-error there is no user null
  transaction.user = null
  transaction.description = null
  // @ts-expect-error a note is text
  transaction.note(42)
  // @ts-expect-error data is kept for objects
  transaction.setData('name', 1)
  // @ts-expect-error Aborted is no state
  const status: TransactionStatus = 'Aborted'
  // @ts-expect-error an option that is none
  await transaction.savepoint({ optimist: true })
  // @ts-expect-error validity is not set by hand
  savepoint.valid = true

  // @ts-expect-error there is no such option
  used.push(new TransactionManager({ timeout: 1000 }))
  // @ts-expect-error the mode is chosen once
  manager.explicit = true
  const length: number = await manager.run(async ({ description }) => description.length)
  // @ts-expect-error the result is that of the work
  const text: string = await manager.run(() => 1)
  // @ts-expect-error attempts is a number
  await manager.run(() => {}, { attempts: '3' })
  // @ts-expect-error no options of run are called tries
  await manager.run(() => {}, { tries: 3 })
  // @ts-expect-error blocks are iterated asynchronously
  for (const _attempt of manager.attempts(3)) break

  used.push(new TransientError('again', { cause: new Error('a lock') }))
  // @ts-expect-error a code from outside the closed set
  used.push(new TransactionUsageError('SQLASSIST_OTHER', 'message'))
  // @ts-expect-error the codes of the core are a closed set
  const code: TransactionErrorCode = 'SQLASSIST_OTHER'
  // @ts-expect-error an error has a message
  used.push(new SqlassistError({ cause: 'nothing' }))
  const error = new TransactionUsageError('SQLASSIST_NO_DATA', 'message') as TransactionError
  // @ts-expect-error the code of an error stays what it is
  error.code = 'SQLASSIST_TRANSIENT'

  const dataManager: DataManager = complete
  used.push(status, length, text, code, dataManager)
}
