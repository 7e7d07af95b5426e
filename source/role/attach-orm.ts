import type { Connection, EntityManager, MikroORM } from '@mikro-orm/core'
import type { AbstractSqlConnection } from '@mikro-orm/sql'
import type { Database } from '../database/database.ts'
import { DECISION_TABLE } from '../database/decisions.ts'
import type { Provide } from '../database/lent-connection.ts'
import { sessionOfEntityManager } from '../session/session.ts'
import { isNestedIn } from '../session/nested-transactions.ts'
import { oneAfterTheOther } from '../session/one-after-the-other.ts'
import { foreignEntityGuard } from '../session/entity-ownership.ts'
import { ManagedSessionError, OutsideTransactionError } from '../session/errors.ts'
import { lettingFork } from '../session/forks.ts'
import { StreamUnderWayError } from './errors.ts'
import { isOfSubscriber } from '../session/transaction-events.ts'
import { SqlassistError } from '../transaction/index.ts'
import { autocommitStream } from './autocommit-streams.ts'
import { connectsOnce, isConnected, isConnecting } from './connecting.ts'
import { provideInTurn } from './autocommit-waits.ts'
import { connectionsOf } from '../database/connections-of.ts'
import { copiedResults } from './copied-results.ts'
import { showUnitsToMikroOrm } from './mikro-orm-contexts.ts'
import { holdContextName } from './context-names.ts'
import { override, type Method } from './override.ts'
import { prepareFirst, preparedExecutors } from './prepared-executors.ts'
import { redirectGlobal } from './redirected-em.ts'
import { refuseLocks } from './refuse-locks.ts'
import { commitsAtOnce, ServedOrm, servedOrmOf, type RoleOfOrm } from './served-orm.ts'
import { tracedExecuteQuery, tracedStream, type AutocommitSession } from './trace-autocommit.ts'

type AnyOrm = MikroORM<any, any, any>

/** The role that an ORM serves from here on. */
export interface Attachment extends RoleOfOrm {
  /** Whether there is only one connection. */
  readonly onlyConnection: boolean
  /** May be another one each time. */
  readonly database: Database
  /** Whether all connections are in use, so that the next statement would wait. */
  readonly isExhausted: () => Promise<boolean>
}

/**
 * Prepares an ORM to serve a role; returns the step that undoes it. Everything that this library changes in an ORM is here.
 * An ORM is changed once, and is as it was when the last of its registries is closed.
 *
 * - The ORM has a context name of its own.
 * - Inside a unit of work the global `orm.em` of a scoped role resolves to the role's session.
 * - A statement that would leave the transaction of the unit of work is refused before it is sent.
 * - A fork of an entity manager does not write to the environment of the process.
 * - The result cache hands out and takes in copies.
 * - MikroORM's schema generator does not drop the table of decisions.
 * - This library's errors come out of MikroORM as they are, and those of subscribers. MikroORM would make DriverExceptions of them
 *   (https://github.com/mikro-orm/mikro-orm/blob/v7.2.1/packages/core/src/drivers/DatabaseDriver.ts).
 */
export function attachOrm(orm: AnyOrm, attachment: Attachment): () => void {
  showUnitsToMikroOrm()
  const served = servedOrmOf(orm.em) ?? prepared(orm, attachment)
  served.add(attachment)
  if (commitsAtOnce(attachment.kind)) {
    served.trace(() =>
      connectionsOf(orm.driver).flatMap((connection) => [
        ...autocommitClient(connection, served, attachment),
        ...traced(connection, served, attachment),
      ]),
    )
  }
  return () => served.remove(attachment.registry)
}

function prepared(orm: AnyOrm, attachment: Attachment): ServedOrm {
  const { role, onlyConnection } = attachment
  const { config, driver } = orm
  const served = new ServedOrm(config)
  // MikroORM has no way to unregister; the guard does nothing outside of sessions.
  orm.em.getEventManager().registerSubscriber(foreignEntityGuard)
  served.undoLater([
    ...holdContextName(orm, role),
    ...redirectGlobal(orm, served),
    override(config, 'set', settingAlone),
    ...copiedResults(config.getResultCacheAdapter()),
    skipTable(config.get('schemaGenerator'), DECISION_TABLE),
    override(
      driver,
      'convertException',
      (original) =>
        function (error) {
          return error instanceof SqlassistError || isOfSubscriber(error) ? error : original.call(this, error)
        },
    ),
    ...connectionsOf(driver).flatMap(connectsOnce),
    // It forks the entity manager of the caller for the expression of a virtual entity.
    override(
      driver,
      'findFromVirtual',
      (original) =>
        function (...args) {
          return lettingFork(args[2]?.em, () => original.apply(this, args))
        },
    ),
    ...connectionsOf(driver).flatMap((connection) => guarded(connection, served, attachment)),
    ...(onlyConnection
      ? connectionsOf(driver).flatMap((connection) => guardedClient(connection, served, attachment))
      : []),
    ...(onlyConnection ? locklessBuilders(driver) : []),
  ])
  return served
}

/**
 * MikroORM allows the global context around each fork. Behind every change of an option it writes an environment variable,
 * which takes longer than the rest of the fork (https://github.com/mikro-orm/mikro-orm/blob/v7.2.1/packages/core/src/utils/Configuration.ts).
 */
function settingAlone(original: Method): Method {
  return function (this: AnyOrm['config'], key: string, value) {
    if (key === 'allowGlobalContext') this.getAll().allowGlobalContext = value
    else original.call(this, key, value)
  }
}

/** The class of a driver's query builders is known when it makes one. */
function locklessBuilders(driver: object): (() => void)[] {
  let allowLocks: (() => void) | undefined
  const making = override(
    driver,
    'createQueryBuilder',
    (original) =>
      function (...args) {
        const builder = original.apply(this, args)
        allowLocks ??= refuseLocks(builder)
        return builder
      },
  )
  return [making, () => allowLocks?.()]
}

/** Has the schema generator, which keeps `options`, skip a table. It drops tables without an entity. */
function skipTable(options: { skipTables?: (string | RegExp)[] }, table: string): () => void {
  const { skipTables } = options
  options.skipTables = [...(skipTables ?? []), table]
  return () => void (options.skipTables = skipTables ?? [])
}

const BETWEEN =
  'A session has the only connection, and would commit or lose what is loaded: load it where no unit of work is under way.'

/** Guards the methods that send MikroORM's statements. Without a context they take a connection from the pool. */
function guarded(connection: Connection, served: ServedOrm, attachment: Attachment): (() => void)[] {
  const assertContext = (context: unknown, what: string): void => {
    const role = context === undefined ? served.roleToLeave() : undefined
    if (role !== undefined) throw new OutsideTransactionError(role, what)
  }
  async function sendOutside(what: string, send: () => Promise<unknown>): Promise<unknown> {
    assertContext(undefined, what)
    return await send()
  }
  return [
    override(
      connection,
      'execute',
      (original) =>
        function (...args) {
          const sent = (): Promise<unknown> => original.apply(this, args)
          return args[3] === undefined ? sendOutside('A statement without a transaction context', sent) : sent()
        },
    ),
    override(
      connection,
      'stream',
      (original) =>
        async function* (...args) {
          assertContext(args[2], 'A stream without a transaction context')
          yield* original.apply(this, args)
        },
    ),
    override(
      connection,
      'executeDump',
      (original) =>
        async function (...args) {
          assertContext(undefined, 'executeDump()')
          const role = attachment.database.holder
          if (role !== undefined) throw new OutsideTransactionError(role, 'executeDump()', BETWEEN)
          return await original.apply(this, args)
        },
    ),
    override(
      connection,
      'begin',
      (original) =>
        async function (options, ...rest) {
          assertContext(options?.ctx, 'A second transaction')
          const { ctx, eventBroadcaster } = options ?? {}
          const isUnheard = ctx !== undefined && isOfSession(eventBroadcaster)
          return await original.call(this, isUnheard ? { ...options, eventBroadcaster: undefined } : options, ...rest)
        },
    ),
    ...['commit', 'rollback'].map((name) => override(connection, name, withoutSavepoints)),
  ]
}

/** MikroORM sends the events of a transaction for a savepoint of it too. Of a session the transaction itself is heard. */
function withoutSavepoints(original: Method): Method {
  return function (context, broadcaster, ...rest) {
    const isUnheard = 'savepointName' in context && isOfSession(broadcaster)
    return original.call(this, context, isUnheard ? undefined : broadcaster, ...rest)
  }
}

/** Whether MikroORM sends events for an entity manager of a session. */
function isOfSession(broadcaster: { readonly em?: EntityManager } | undefined): boolean {
  return broadcaster?.em !== undefined && sessionOfEntityManager(broadcaster.em) !== undefined
}

function traced(connection: Connection, served: ServedOrm, { onlyConnection }: Attachment): (() => void)[] {
  const session = (): AutocommitSession | undefined => served.autocommitting()
  return [
    override(connection, 'executeQuery', tracedExecuteQuery(session)),
    override(connection, 'stream', tracedStream(session, onlyConnection)),
  ]
}

/**
 * Guards the only connection: a request that holds it would wait for itself for ever. Kysely asks for connections through
 * the client's executor.
 */
function guardedClient(connection: Connection, served: ServedOrm, attachment: Attachment): (() => void)[] {
  const provideGuarded = (original: Method): Method =>
    async function (...args) {
      if (isConnecting(connection)) return await original.apply(this, args)
      const role = served.roleThatHoldsConnection()
      if (role !== undefined) throw new OutsideTransactionError(role, 'A statement on a connection of its own')
      while (attachment.database.reopening !== undefined || !isConnected(connection)) {
        await attachment.database.reopening
        await connection.ensureConnection()
      }
      return await provideByPresent(connection, original, this, args)
    }
  return preparedExecutors(connection, (executor) => override(executor, 'provideConnection', provideGuarded))
}

const INSIDE =
  'Inside em.transactional() use the entity manager that its callback is given: the only connection is taken.'

/**
 * Prepares the client of a role that commits every statement. Its session ends its streams. Refuses statements that would
 * wait for ever: for a stream, or for the transaction around them.
 */
function autocommitClient(connection: Connection, served: ServedOrm, attachment: Attachment): (() => void)[] {
  const session = (): AutocommitSession | undefined => served.autocommitting()
  const { role, onlyConnection } = attachment
  const wouldWait = async (): Promise<boolean> => onlyConnection || (await attachment.isExhausted())
  const provideGuarded = (original: Method): Method =>
    async function (consumer, ...options) {
      // What opens the connection waits for nobody who waits for that.
      if (isConnecting(connection)) return await original.call(this, consumer, ...options)
      // MikroORM lets statements of Kysely go ahead of that.
      if (!isConnected(connection)) await connection.ensureConnection()
      const here = session()
      if (here !== undefined && isNestedIn(here) && (await wouldWait())) {
        throw new OutsideTransactionError(role, 'A statement by the outer entity manager', INSIDE)
      }
      if (here?.statements.streams === true && (await attachment.isExhausted())) throw new StreamUnderWayError(role)
      const { user } = here?.core.options.unit ?? {}
      const { database } = attachment
      const mayWait = user !== undefined && database.source.isTaken && (await wouldWait())
      const provide: Provide = (lent) => provideByPresent(connection, original, this, [lent, ...options])
      const send = (use: typeof consumer): Promise<unknown> => {
        const leftOpen = here && (() => new ManagedSessionError(role, 'A statement that begins a transaction', true))
        const sent = (): Promise<unknown> => database.lend(connection as AbstractSqlConnection, provide, use, leftOpen)
        return onlyConnection ? oneAfterTheOther(connection, role, sent) : sent()
      }
      return await (mayWait ? provideInTurn(send, consumer, { user, role, source: database.source }) : send(consumer))
    }
  const prepare = preparedExecutors(connection, (executor) => {
    override(executor, 'provideConnection', provideGuarded)
    override(executor, 'stream', autocommitStream(session, attachment.onlyConnection))
  })
  return [...prepare, override(connection, 'executeQuery', prepareFirst)]
}

/** Calls `provide`, or the method of the client that has taken the place of the one that `executor` is of. */
function provideByPresent(connection: Connection, provide: Method, executor: object, args: any[]): Promise<any> {
  const present: object = (connection as AbstractSqlConnection).getClient().getExecutor()
  return present === executor
    ? provide.apply(executor, args)
    : Object.getPrototypeOf(present).provideConnection.apply(present, args)
}
