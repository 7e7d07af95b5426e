import type { Connection, MikroORM } from '@mikro-orm/core'
import { DECISION_TABLE } from '../database/decisions.ts'
import { isNestedIn } from '../session/nested-transactions.ts'
import { oneAfterTheOther } from '../session/one-after-the-other.ts'
import { foreignEntityGuard } from '../session/entity-ownership.ts'
import { OutsideTransactionError } from '../session/errors.ts'
import { StreamUnderWayError } from './errors.ts'
import { SqlassistError } from '../transaction/index.ts'
import { autocommitStream } from './autocommit-streams.ts'
import { connectionsOf } from './connections-of.ts'
import { holdContextName } from './context-names.ts'
import { override, type Method } from './override.ts'
import { redirectGlobal } from './redirected-em.ts'
import { commitsAtOnce, ServedOrm, servedOrmOf, type RoleOfOrm } from './served-orm.ts'
import { tracedExecuteQuery, tracedStream, type AutocommitSession } from './trace-autocommit.ts'

type AnyOrm = MikroORM<any, any, any>

/** The role that an ORM is to serve. */
export interface Attachment extends RoleOfOrm {
  /** Whether there is only one connection. */
  readonly onlyConnection: boolean
  /** Whether all connections are in use, so that to ask for one is to wait. */
  readonly isExhausted: () => Promise<boolean>
}

/**
 * Prepares an ORM to serve a role; the answer undoes it. Everything that this library changes in an ORM is here. It is
 * changed once, however many registries use it, and is as it was when the last of them is closed.
 *
 * - It has a context name of its own.
 * - Inside a unit of work the global `orm.em` of a scoped role resolves to the role's session.
 * - A statement that would leave the transaction of the unit of work is refused before it is sent.
 * - The table that this library keeps its decisions in is none that MikroORM's schema generator would drop.
 * - This library's errors come out of MikroORM as they are: it would make a DriverException of everything that is thrown
 *   where a statement runs (https://github.com/mikro-orm/mikro-orm/blob/v7.2.1/packages/core/src/drivers/DatabaseDriver.ts).
 */
export function attachOrm(orm: AnyOrm, attachment: Attachment): () => void {
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

function prepared(orm: AnyOrm, { role, onlyConnection }: Attachment): ServedOrm {
  const { config, driver } = orm
  const served = new ServedOrm(config)
  // There is no unregistering; it does nothing outside of sessions.
  orm.em.getEventManager().registerSubscriber(foreignEntityGuard)
  served.undoLater([
    ...holdContextName(orm, role),
    ...redirectGlobal(orm, served),
    skipTable(config.get('schemaGenerator'), DECISION_TABLE),
    override(
      driver,
      'convertException',
      (original) =>
        function (error) {
          return error instanceof SqlassistError ? error : original.call(this, error)
        },
    ),
    ...connectionsOf(driver).flatMap((connection) => guarded(connection, served)),
    ...(onlyConnection ? connectionsOf(driver).flatMap((connection) => guardedClient(connection, served)) : []),
  ])
  return served
}

/** The generator keeps this object; it takes a table that no entity has for one to be dropped. */
function skipTable(options: { skipTables?: (string | RegExp)[] }, table: string): () => void {
  const { skipTables } = options
  options.skipTables = [...(skipTables ?? []), table]
  return () => void (options.skipTables = skipTables ?? [])
}

/** Every statement of MikroORM passes through one of these; without a context it takes a connection from the pool. */
function guarded(connection: Connection, served: ServedOrm): (() => void)[] {
  let connecting = 0
  const check = (context: unknown, what: string): void => {
    // Connecting sends statements of its own, such as foreign_keys on SQLite.
    const role = context === undefined && connecting === 0 ? served.roleToLeave() : undefined
    if (role !== undefined) throw new OutsideTransactionError(role, what)
  }
  async function checked(what: string, send: () => Promise<unknown>): Promise<unknown> {
    check(undefined, what)
    return await send()
  }
  return [
    override(
      connection,
      'connect',
      (original) =>
        async function (...args) {
          connecting++
          try {
            return await original.apply(this, args)
          } finally {
            connecting--
          }
        },
    ),
    override(
      connection,
      'execute',
      (original) =>
        function (...args) {
          const sent = (): Promise<unknown> => original.apply(this, args)
          return args[3] === undefined ? checked('A statement without a transaction context', sent) : sent()
        },
    ),
    override(
      connection,
      'stream',
      (original) =>
        async function* (...args) {
          check(args[2], 'A stream without a transaction context')
          yield* original.apply(this, args)
        },
    ),
    override(
      connection,
      'begin',
      (original) =>
        async function (...args) {
          check(args[0]?.ctx, 'A second transaction')
          return await original.apply(this, args)
        },
    ),
  ]
}

function traced(connection: Connection, served: ServedOrm, { onlyConnection }: Attachment): (() => void)[] {
  const session = (): AutocommitSession | undefined => served.autocommitting()
  return [
    override(connection, 'executeQuery', tracedExecuteQuery(session)),
    override(connection, 'stream', tracedStream(session, onlyConnection)),
  ]
}

/**
 * Where there is only one connection, a request that holds it would wait for itself for ever. Whatever asks Kysely for it
 * passes through the client's executor.
 */
function guardedClient(connection: Connection, served: ServedOrm): (() => void)[] {
  const provideGuarded = (original: Method): Method =>
    async function (...args) {
      const role = served.roleThatHoldsConnection()
      if (role !== undefined) throw new OutsideTransactionError(role, 'A statement on a connection of its own')
      return await original.apply(this, args)
    }
  return preparedExecutors(connection, (executor) => override(executor, 'provideConnection', provideGuarded))
}

const INSIDE =
  'Inside em.transactional() use the entity manager that its callback is given: the only connection is taken.'

/**
 * The streams of a role that commits every statement; and what would wait for ever for one of them, or for the transaction
 * that it is called in.
 */
function autocommitClient(connection: Connection, served: ServedOrm, attachment: Attachment): (() => void)[] {
  const session = (): AutocommitSession | undefined => served.autocommitting()
  const { role, onlyConnection } = attachment
  const wouldWait = async (): Promise<boolean> => onlyConnection || (await attachment.isExhausted())
  const provideGuarded = (original: Method): Method =>
    async function (...args) {
      const here = session()
      if (here !== undefined && isNestedIn(here) && (await wouldWait())) {
        throw new OutsideTransactionError(role, 'A statement by the outer entity manager', INSIDE)
      }
      if (here?.statements.streams === true && (await attachment.isExhausted())) throw new StreamUnderWayError(role)
      const sent = (): Promise<unknown> => original.apply(this, args)
      return await (onlyConnection ? oneAfterTheOther(connection, role, sent) : sent())
    }
  return preparedExecutors(connection, (executor) => {
    override(executor, 'provideConnection', provideGuarded)
    override(executor, 'stream', autocommitStream(session, attachment.onlyConnection))
  })
}

/** Has `prepare` called once for each executor of the connection's clients; a client is made anew when the ORM reconnects. */
function preparedExecutors(connection: Connection, prepare: (executor: object) => void): (() => void)[] {
  const known = new WeakSet<object>()
  const getPrepared = (original: Method): Method =>
    function () {
      const client = original.call(this)
      const executor: object = client.getExecutor()
      if (!known.has(executor)) prepare(executor)
      known.add(executor)
      return client
    }
  return [override(connection, 'getClient', getPrepared)]
}
