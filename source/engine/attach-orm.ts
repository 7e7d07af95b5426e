import type { Connection, EntityManager, IDatabaseDriver, MikroORM } from '@mikro-orm/core'
import { DECISION_TABLE } from '../session/decisions.ts'
import { foreignEntityGuard } from '../session/entity-ownership.ts'
import { OutsideTransactionError } from '../session/errors.ts'
import { REDIRECTED } from '../session/session-entity-manager.ts'
import { SqlassistError } from '../transaction/index.ts'
import { tracedExecuteQuery, tracedStream, type AutocommitSession } from './trace-autocommit.ts'

type AnyOrm = MikroORM<any, any, any>
type Method = (this: unknown, ...args: any[]) => any

/** What an ORM is told of the role it serves. */
export interface Attachment {
  readonly role: string
  /** The session's entity manager, opened if need be, when the running code is inside a unit of work of a scoped role. */
  readonly scopedEntityManager: () => EntityManager | undefined
  /** Whether a statement sent now without a transaction context would leave the transaction the code is in. */
  readonly wouldEscape: () => boolean
  /** Where there is only one connection: whether the code is in a unit of work whose session holds it. */
  readonly wouldWaitForItself: (() => boolean) | undefined
  /** Where MikroORM sends every statement past the session: the open session, when the code is in a unit of work. */
  readonly autocommitting: (() => AutocommitSession | undefined) | undefined
}

/**
 * Prepares an ORM to serve a role; the answer undoes it. Everything that this library changes in an ORM is here.
 *
 * - Inside a unit of work the global `orm.em` of a scoped role resolves to the role's session.
 * - A statement that would leave the transaction of the unit of work is refused before it is sent.
 * - The table that this library keeps its decisions in is none that MikroORM's schema generator would drop.
 * - This library's errors come out of MikroORM as they are: it would make a DriverException of everything that is thrown
 *   where a statement runs (https://github.com/mikro-orm/mikro-orm/blob/v7.2.1/packages/core/src/drivers/DatabaseDriver.ts).
 */
export function attachOrm(orm: AnyOrm, attachment: Attachment): () => void {
  const { config, driver } = orm
  const previousContext = config.get('context')
  config.set('context', (name) => attachment.scopedEntityManager() ?? previousContext(name))
  // There is no unregistering; it does nothing outside of sessions.
  orm.em.getEventManager().registerSubscriber(foreignEntityGuard)
  const undo = [
    () => config.set('context', previousContext),
    skipTable(config.get('schemaGenerator'), DECISION_TABLE),
    ...REDIRECTED.map((name) => override(orm.em, name, (original) => redirected(name, original))),
    override(
      driver,
      'convertException',
      (original) =>
        function (error) {
          return error instanceof SqlassistError ? error : original.call(this, error)
        },
    ),
    ...connectionsOf(driver).flatMap((connection) => guarded(connection, attachment)),
    ...connectionsOf(driver).flatMap((connection) => guardedClient(connection, attachment)),
    ...connectionsOf(driver).flatMap((connection) => traced(connection, attachment)),
  ]
  return () => {
    for (const step of undo.toReversed()) step()
  }
}

/** The connection to the primary and those to the replicas. */
export function connectionsOf(driver: IDatabaseDriver): Connection[] {
  const { replicas = [] } = driver as unknown as { readonly replicas?: Connection[] }
  return [driver.getConnection('write'), ...replicas]
}

function redirected(name: string, original: Method): Method {
  return function (this: any, ...args) {
    // So does this library's own fork for a session, and MikroORM's for the same reason: it means this one and no other.
    if (name === 'fork' && args[0]?.disableContextResolution === true) return original.apply(this, args)
    const target = this.getContext(false)
    return target === this ? original.apply(this, args) : target[name](...args)
  }
}

/** The generator keeps this object; it takes a table that no entity has for one to be dropped. */
function skipTable(options: { skipTables?: (string | RegExp)[] }, table: string): () => void {
  const { skipTables } = options
  options.skipTables = [...(skipTables ?? []), table]
  return () => void (options.skipTables = skipTables ?? [])
}

/** Every statement of MikroORM passes through one of these; without a context it takes a connection from the pool. */
function guarded(connection: Connection, { role, wouldEscape }: Attachment): (() => void)[] {
  let connecting = 0
  const check = (context: unknown, what: string): void => {
    // Connecting sends statements of its own, such as foreign_keys on SQLite.
    if (context === undefined && connecting === 0 && wouldEscape()) throw new OutsideTransactionError(role, what)
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

function traced(connection: Connection, { autocommitting }: Attachment): (() => void)[] {
  if (autocommitting === undefined) return []
  return [
    override(connection, 'executeQuery', tracedExecuteQuery(autocommitting)),
    override(connection, 'stream', tracedStream(autocommitting)),
  ]
}

/**
 * Where there is only one connection, a request that holds it would wait for itself for ever. Whatever asks Kysely for it
 * passes through the client's executor; the client is made anew when the ORM reconnects.
 */
function guardedClient(connection: Connection, { role, wouldWaitForItself }: Attachment): (() => void)[] {
  if (wouldWaitForItself === undefined) return []
  const guardedExecutors = new WeakSet<object>()
  const provideGuarded = (original: Method): Method =>
    async function (...args) {
      if (wouldWaitForItself()) throw new OutsideTransactionError(role, 'A statement on a connection of its own')
      return await original.apply(this, args)
    }
  const getGuarded = (original: Method): Method =>
    function () {
      const client = original.call(this)
      const executor: object = client.getExecutor()
      if (!guardedExecutors.has(executor)) override(executor, 'provideConnection', provideGuarded)
      guardedExecutors.add(executor)
      return client
    }
  return [override(connection, 'getClient', getGuarded)]
}

/** Puts a method before the one that `target` inherits; the answer takes it away again. */
function override(target: object, name: string, make: (original: Method) => Method): () => void {
  const own = Object.getOwnPropertyDescriptor(target, name)
  const original = Reflect.get(target, name) as Method
  Object.defineProperty(target, name, { value: make(original), configurable: true, writable: true })
  return () => {
    if (own === undefined) Reflect.deleteProperty(target, name)
    else Object.defineProperty(target, name, own)
  }
}

/** The context name MikroORM gives an ORM that was not told one. */
const UNSET = 'default'

/**
 * Gives `orm` the role's name as its context name, if it has none. Two ORMs of one name would take each other's entity
 * managers inside a transaction.
 */
export function nameContext(orm: AnyOrm, role: string): string {
  if (orm.config.get('contextName') === UNSET) {
    orm.config.set('contextName', role)
    ;(orm.em as { name: string }).name = role
  }
  return orm.config.get('contextName')
}
