/**
 * A program that uses everything the package exports, as a stranger writes it. It is compiled against the packed
 * declarations and then run against a SQLite file; tests/package/package.test.ts sees that no export is missing here.
 */
import { defineEntity, MikroORM, p, type InferEntity } from '@mikro-orm/sqlite'
import {
  AnsweredTooEarlyError,
  CannotPrepareError,
  ClientDisconnectedError,
  CommitFencedError,
  CommitOutcomeUnknownError,
  CommittedTooEarlyError,
  ConfigurationError,
  ConnectionDeadlockError,
  ConnectionLostError,
  ConventionNamingStrategy,
  copyTo,
  DbSessionsContainer,
  dbSessions,
  DECISION_TABLE,
  DECISION_TABLE_SQL,
  DecisionTableError,
  EndlessFlushError,
  DeclaredTable,
  defaultCommitVeto,
  DetachedEntityError,
  EndedByStatementError,
  EngineRegistry,
  EntityNotRestoredError,
  ForeignEntityError,
  getByColumnExactThenIlike,
  getByColumnLower,
  getByColumnSimilar,
  getById,
  getByIds,
  getRange,
  InvalidPositionError,
  isRetryable,
  ManagedSessionError,
  markChanged,
  MoreThanOneError,
  NestedTransactionDeadlockError,
  NestedTransactionEndedError,
  NestedTransactionOpenError,
  ReadOnlyTransactionError,
  TransactionOptionsError,
  NoReplicaError,
  NotAnEntityError,
  NotASessionError,
  NotAtomicError,
  NotRetriedError,
  OutsideTransactionError,
  PartialCommitError,
  positionHeader,
  positionOf,
  QueryArgumentError,
  ReadOnlySessionError,
  RegistryClosedError,
  RegistryCloseTimeoutError,
  ReplicaLostError,
  requestOf,
  serverErrorVeto,
  SessionContextError,
  SessionEndedError,
  sessionOf,
  SessionFailedError,
  SharedFileError,
  StreamUnderWayError,
  TransactionAbortedError,
  TransactionsDisabledError,
  UnitOfWorkEndedError,
  UnknownColumnError,
  UnknownRoleError,
  UndoneFromOutsideError,
  UnmarkedWriteError,
  UtilityRepository,
} from 'koa-sqlassist'
import {
  AlreadyInTransactionError,
  CallTimeoutError,
  ConcurrentCallError,
  type DataManager,
  DoomedTransactionError,
  InvalidSavepointRollbackError,
  NoTransactionError,
  SavepointUnsupportedError,
  SqlassistError,
  Transaction,
  TransactionEndedError,
  TransactionError,
  transactionErrorCodes,
  TransactionFailedError,
  TransactionManager,
  transactionStatuses,
  TransactionUsageError,
  TransientError,
} from 'koa-sqlassist/transaction'
import { debugPanel, type DebugPanel, type RequestSnapshot } from 'koa-sqlassist/debug'
import {
  createSandbox,
  freshDatabase,
  prepareTemplate,
  SandboxBusyError,
  SandboxEscapeError,
  SandboxLeakError,
  SandboxLostError,
  SandboxNotBegunError,
  SandboxReadAheadError,
  SandboxReplayError,
  TemplateError,
  workerDatabase,
  type CapturedHook,
  type CaptureOptions,
  type DatabaseTemplate,
  type FreshDatabase,
  type PrepareTemplateOptions,
  type Sandbox,
  type SandboxOptions,
  type SandboxReport,
} from 'koa-sqlassist/testing'
import assert from 'node:assert/strict'
import Koa from 'koa'

const errors = [
  AlreadyInTransactionError,
  AnsweredTooEarlyError,
  CallTimeoutError,
  CannotPrepareError,
  ClientDisconnectedError,
  CommitFencedError,
  CommitOutcomeUnknownError,
  CommittedTooEarlyError,
  ConcurrentCallError,
  ConfigurationError,
  ConnectionDeadlockError,
  ConnectionLostError,
  DecisionTableError,
  EndlessFlushError,
  DetachedEntityError,
  EndedByStatementError,
  DoomedTransactionError,
  EntityNotRestoredError,
  ForeignEntityError,
  InvalidPositionError,
  InvalidSavepointRollbackError,
  ManagedSessionError,
  MoreThanOneError,
  NestedTransactionDeadlockError,
  NestedTransactionEndedError,
  NestedTransactionOpenError,
  ReadOnlyTransactionError,
  TransactionOptionsError,
  NoReplicaError,
  NotAnEntityError,
  NotASessionError,
  NotAtomicError,
  NotRetriedError,
  NoTransactionError,
  OutsideTransactionError,
  PartialCommitError,
  QueryArgumentError,
  ReadOnlySessionError,
  RegistryClosedError,
  RegistryCloseTimeoutError,
  ReplicaLostError,
  SavepointUnsupportedError,
  SessionContextError,
  SessionEndedError,
  SessionFailedError,
  SharedFileError,
  StreamUnderWayError,
  SandboxBusyError,
  SandboxEscapeError,
  SandboxLeakError,
  SandboxLostError,
  SandboxNotBegunError,
  SandboxReadAheadError,
  SandboxReplayError,
  TemplateError,
  TransactionAbortedError,
  TransactionEndedError,
  TransactionError,
  TransactionFailedError,
  TransactionsDisabledError,
  TransactionUsageError,
  TransientError,
  UnitOfWorkEndedError,
  UnknownColumnError,
  UnknownRoleError,
  UndoneFromOutsideError,
  UnmarkedWriteError,
] satisfies (abstract new (...args: never[]) => SqlassistError)[]
for (const ErrorClass of errors) assert.ok(ErrorClass.prototype instanceof SqlassistError, ErrorClass.name)

const Note = defineEntity({
  name: 'Note',
  extends: DeclaredTable,
  repository: () => NoteRepository,
  properties: { id: p.integer().primary(), text: p.string() },
})
class NoteRepository extends UtilityRepository<InferEntity<typeof Note>> {}

const open = async (): Promise<MikroORM> => {
  const orm = await MikroORM.init({
    entities: [Note],
    dbName: 'consumer.sqlite',
    namingStrategy: ConventionNamingStrategy,
    schemaGenerator: { skipTables: [DECISION_TABLE] },
  })
  await orm.schema.update()
  return orm
}

const engines = { reader: { orm: await open(), readOnly: true }, writer: await open() } as const
class Sessions extends DbSessionsContainer<typeof engines> {
  get notes(): NoteRepository {
    return this.writer.getRepository(Note)
  }
}
const registry = new EngineRegistry(engines, { containerClass: Sessions })

await registry.run(async ({ dbSession, txn }) => {
  const { notes, writer } = dbSession
  for (const text of ['100% sure', 'a thought']) writer.create(Note, { text })
  const savepoint = await txn.savepoint()
  await writer.execute('delete from "note"')
  markChanged(writer)
  await savepoint.rollback()
  assert.equal((await notes.getRange({ orderBy: 'id' })).length, 2)
})
await registry.run(async ({ dbSession }) => {
  const { reader, writer } = dbSession
  const note = await getById(reader, Note, 1)
  assert.ok(note)
  assert.equal(sessionOf(note), reader)
  assert.equal(requestOf(note), undefined)
  assert.equal(positionOf(dbSession), undefined)
  assert.equal(note.session, reader)
  assert.equal(copyTo(note, writer).text, '100% sure')
  assert.equal((await getByIds(reader, Note, [1, 2])).length, 2)
  assert.equal((await getByColumnLower(reader, Note, 'text', 'A THOUGHT'))?.id, 2)
  assert.equal((await getByColumnSimilar(reader, Note, 'text', '100%')).length, 1)
  assert.equal((await getByColumnExactThenIlike(reader, Note, 'text', 'a thought'))?.id, 2)
  assert.equal((await getRange(reader, Note, { limit: 1 })).length, 1)
})
await assert.rejects(
  registry.run(({ dbSession: { reader } }) => reader.nativeDelete(Note, {})),
  (error) => error instanceof ReadOnlySessionError && !isRetryable(error),
)
await registry.close()

const app = new Koa()
const middleware = dbSessions(
  { writer: await open() },
  { commitVeto: (ctx) => serverErrorVeto(ctx) || defaultCommitVeto(ctx), readYourWrites: positionHeader('x-position') },
)
app.use(middleware)
const shown = new EngineRegistry({ writer: await open() })
const panel: DebugPanel = debugPanel(shown, { path: '/debug', keep: 10 })
app.use(panel)
export const statementsOf = ({ totals }: RequestSnapshot): number => totals.statements
await shown.close()
const hasDecisions: boolean = DECISION_TABLE_SQL.sqlite.includes(DECISION_TABLE)
assert.ok(hasDecisions)

const toPrepare: PrepareTemplateOptions = {
  url: './consumer.sqlite',
  key: 'one',
  async migrate(dbName) {
    const orm = await MikroORM.init({ entities: [Note], dbName })
    await orm.schema.create()
    await orm.close()
  },
}
const template: DatabaseTemplate = await prepareTemplate(toPrepare)
const clones: string[] = [await workerDatabase(template), await workerDatabase(template, { worker: 2 })]
const fresh: FreshDatabase = await freshDatabase(template)
assert.equal(new Set([...clones, fresh.url]).size, 3)
await fresh.drop()

const tested = new EngineRegistry({ writer: await open() })
const strictly: SandboxOptions = { readAhead: 'error', sequences: 'restore' }
const sandbox: Sandbox = await createSandbox(tested, strictly)
const captures: CaptureOptions = { kinds: ['afterCommit'] }
await sandbox.begin()
const held: readonly CapturedHook[] = await sandbox.captureHooks(
  () =>
    tested.run(({ dbSession: { writer }, txn }) => {
      txn.addAfterCommitHook(() => assert.fail('it is held'))
      writer.create(Note, { text: 'tested' })
    }),
  captures,
)
assert.equal(held.length, 1)
assert.equal(await tested.run(({ dbSession: { writer } }) => writer.count(Note, { text: 'tested' })), 1)
const report: SandboxReport = sandbox.report()
assert.equal(report.frames, 2)
await sandbox.rollback()
await sandbox.close()
assert.equal(await tested.run(({ dbSession: { writer } }) => writer.count(Note, { text: 'tested' })), 0)
await tested.close()

class Box implements DataManager {
  committed = false
  abort(): void {}
  tpcBegin(): void {}
  commit(): void {}
  tpcVote(): void {}
  tpcFinish(): void {
    this.committed = true
  }
  tpcAbort(): void {}
  sortKey(): string {
    return 'box'
  }
}
const manager = new TransactionManager({ explicit: true })
const transaction: Transaction = await manager.begin()
assert.ok(transaction instanceof Transaction)
const box = new Box()
transaction.join(box)
await manager.commit()
assert.ok(box.committed && transactionStatuses.includes(transaction.status))
assert.ok(transactionErrorCodes.includes('SQLASSIST_NO_TRANSACTION'))

// What the declarations refuse. One that was not found would be any, and any can be everything.
// @ts-expect-error
export const refused: string = manager
// @ts-expect-error
export const refusedToo: string = dbSessions
// @ts-expect-error
export const refusedPanel: string = debugPanel
// @ts-expect-error
export const refusedTemplate: string = workerDatabase
// @ts-expect-error a role that is not configured
export const noRole = (): unknown => registry.session('nobody')
