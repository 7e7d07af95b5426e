import { ChangeSetType, EntityManager, EventType, type ChangeSet, type UnitOfWork } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import type { Kysely } from 'kysely'
import type { StatementResult } from '../database/database.ts'
import { warn } from '../transaction/warnings.ts'
import { CommittedTooEarlyError, SessionEndedError } from './errors.ts'
import type { SessionCore } from './session-core.ts'
import { SessionConnection, sessionKysely, type NestingHost } from './session-kysely.ts'
import type { Executor, Statement } from './statement.ts'

type AnyChangeSet = ChangeSet<any>

/** What MikroORM keeps to itself: https://github.com/mikro-orm/mikro-orm/blob/v7.2.1/packages/core/src/unit-of-work/UnitOfWork.ts */
interface Internals {
  doCommit?: () => Promise<void>
  persistToDatabase?: (groups: unknown, context: Kysely<any>) => Promise<void>
}

const PIPELINE = Symbol('koa-sqlassist pipelined commit')

/** A unit of work of MikroORM's whose next flush may commit. */
type Pipelined = Changes & Internals & { [PIPELINE]: Pipeline }
type Changes = Pick<UnitOfWork, 'getChangeSets' | 'getCollectionUpdates' | 'getExtraUpdates'>

interface Pipeline extends Required<Internals> {
  readonly em: SqlEntityManager
  readonly committing: (isLast: () => boolean) => Kysely<any>
}

/** A call of these may send statements behind that of the change set, or fail when it is committed. */
const ENTITY_EVENTS = [
  EventType.beforeCreate,
  EventType.afterCreate,
  EventType.beforeUpdate,
  EventType.afterUpdate,
  EventType.beforeDelete,
  EventType.afterDelete,
]

const INSERTS_OR_DELETES: readonly ChangeSetType[] = [ChangeSetType.CREATE, ChangeSetType.DELETE]

/**
 * Flushes, as part of a commit in which nobody else takes part. Where it is one statement, COMMIT goes along with it.
 * @throws CommitOutcomeUnknownError, or what the flush throws, when nothing was committed
 */
export async function flushAndCommit(
  core: SessionCore,
  host: PipelinedHost & NestingHost,
  client: Kysely<any>,
): Promise<void> {
  try {
    // Somebody hears of the commit, and may send something ahead of it.
    if (core.transaction.events.hearsBeforeCommit) return await core.em.flush()
    await flushPipelined(core.em, (isAlone) => {
      // One operation is under way, this flush.
      const executor = new PipelinedExecutor(host, () => core.activity.count === 1 && isAlone())
      return sessionKysely(host, client, new SessionConnection(executor, 'orm', undefined))
    })
  } catch (error) {
    // Given up by a signal, it may still be on its way.
    const { role, transaction } = core
    await transaction.idle()
    transaction.statements.assertOutcomeKnown()
    if (!transaction.committedEarly) throw error
    if (error instanceof SessionEndedError) throw new CommittedTooEarlyError(role, error)
    reportAfterCommit(role, error)
  }
}

/**
 * Flushes `em`. A flush that can be proved to send exactly one statement sends it by the context that `committing`
 * makes. That context asks once more as it sends the statement.
 *
 * The proof has these parts. No other flush is under way or queued. There is one change set, in one table, of a kind
 * that is one statement. No collection and no later update is scheduled. No row may turn out to be locked
 * optimistically. No hook or subscriber is called from here on. Neither flush nor driver is the program's own.
 */
async function flushPipelined(em: SqlEntityManager, committing: (isLast: () => boolean) => Kysely<any>): Promise<void> {
  const uow = em.getUnitOfWork(false) as unknown as Pipelined
  const { doCommit, persistToDatabase } = uow
  if (doCommit === undefined || persistToDatabase === undefined || !isMikroOrmsOwn(em)) return await em.flush()

  uow[PIPELINE] = { em, committing, doCommit, persistToDatabase }
  // MikroORM calls doCommit at once only if no other flush is under way; else the statement might be of that flush.
  uow.doCommit = pipelinedDoCommit
  try {
    const flushing = em.flush()
    delete uow.doCommit
    await flushing
  } finally {
    delete uow.persistToDatabase
  }
}

// Functions for all of them: V8 would keep a closure for each, with its request, until the next full collection.

function pipelinedDoCommit(this: Pipelined): Promise<void> {
  delete this.doCommit
  this.persistToDatabase = pipelinedPersist
  return this[PIPELINE].doCommit.call(this)
}

function pipelinedPersist(this: Pipelined, groups: unknown, context: Kysely<any>): Promise<void> {
  delete this.persistToDatabase
  const { em, committing, persistToDatabase } = this[PIPELINE]
  if (!isOneStatement(em, this)) return persistToDatabase.call(this, groups, context)
  const done = persistToDatabase.call(
    this,
    groups,
    committing(() => nothingElse(this)),
  )
  // MikroORM has left the committing context on the entity manager, where other code would use it.
  em.setTransactionContext(context)
  return done
}

function isMikroOrmsOwn(em: SqlEntityManager): boolean {
  const driver = em.config.getDriver()
  // A session's class overrides it, and calls that of the class it extends.
  const own = Object.getPrototypeOf(Object.getPrototypeOf(em)) as SqlEntityManager
  return own.flush === EntityManager.prototype.flush && driver.constructor.name === 'PostgreSqlDriver'
}

function isOneStatement(em: SqlEntityManager, uow: Changes): boolean {
  const [only] = uow.getChangeSets() as AnyChangeSet[]
  if (only === undefined || !nothingElse(uow)) return false
  const { meta, type } = only
  return (
    meta.inheritanceType !== 'tpt' &&
    (INSERTS_OR_DELETES.includes(type) || !meta.hasOptimisticLock()) &&
    !hasListeners(em, only)
  )
}

function hasListeners(em: SqlEntityManager, { meta }: AnyChangeSet): boolean {
  const manager = em.getEventManager()
  // Subscribers to any entity count: the event of a flush has none.
  const ofFlush = [...manager.getSubscribers()].some((subscriber) => subscriber.afterFlush !== undefined)
  return ofFlush || ENTITY_EVENTS.some((event) => manager.hasListeners(event, meta))
}

function nothingElse(uow: Changes): boolean {
  return uow.getChangeSets().length === 1 && uow.getCollectionUpdates().length === 0 && uow.getExtraUpdates().size === 0
}

/** The session of a flush that may commit. */
export interface PipelinedHost extends Executor {
  /** Runs the last statement, with COMMIT along where `isLast` says so as it is about to be sent. */
  executeAndCommit(statement: Statement, isLast: () => boolean): Promise<StatementResult>
}

/** Runs the statements of one flush, the first of them with COMMIT where it is the last one too. */
class PipelinedExecutor implements Executor {
  readonly #host: PipelinedHost
  #isLast: (() => boolean) | undefined

  constructor(host: PipelinedHost, isLast: () => boolean) {
    this.#host = host
    this.#isLast = isLast
  }

  execute(statement: Statement): Promise<StatementResult> {
    const isLast = this.#isLast
    this.#isLast = undefined
    return isLast === undefined ? this.#host.execute(statement) : this.#host.executeAndCommit(statement, isLast)
  }

  stream(statement: Statement, chunkSize: number): AsyncIterable<unknown[]> {
    return this.#host.stream(statement, chunkSize)
  }

  track<Row>(rows: AsyncIterable<Row>): AsyncIterableIterator<Row> {
    return this.#host.track(rows)
  }

  cancelStatement(): void {
    this.#host.cancelStatement()
  }
}

/** Warns of an error that came when everything was committed. */
function reportAfterCommit(role: string, error: unknown): void {
  warn(`The session of role "${role}" is committed; MikroORM failed when it took the answer over: ${String(error)}`, {
    code: 'SQLASSIST_FAILED_AFTER_COMMIT',
    error,
  })
}
