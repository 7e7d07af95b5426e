import type {
  AbortableOperationOptions,
  CompiledQuery,
  ConnectionProvider,
  DatabaseConnection,
  Kysely,
  KyselyProps,
  QueryExecutor,
  QueryResult,
} from 'kysely'
import { ManagedSessionError } from './errors.ts'
import type { Session } from './session.ts'

/** Who wrote a statement: MikroORM, whose DML is known to change the session, or the program itself in raw SQL. */
export type StatementOrigin = 'orm' | 'raw'

type KyselyClass = new (props: KyselyProps) => Kysely<any>

interface Command<T> {
  execute(): Promise<T>
}

/** What MikroORM and Kysely run statements on: every one goes to the session, and so into its one database transaction. */
class SessionConnection implements DatabaseConnection {
  readonly #session: Session
  readonly #origin: StatementOrigin
  /** Whether the next statement is the last one. */
  #isLast: (() => boolean) | undefined

  constructor(session: Session, origin: StatementOrigin, isLast?: () => boolean) {
    this.#session = session
    this.#origin = origin
    this.#isLast = isLast
  }

  executeQuery<R>(query: CompiledQuery, options?: AbortableOperationOptions): Promise<QueryResult<R>> {
    const isLast = this.#isLast
    this.#isLast = undefined
    const execution = { signal: options?.signal, isLast }
    return this.#session.execute(query, this.#origin, execution) as Promise<QueryResult<R>>
  }

  /** For MikroORM's `signal` with the strategy 'cancel query'. */
  async collectSessionInfo(): Promise<void> {}

  async cancelQuery(): Promise<void> {
    this.#session.cancelStatement()
  }

  async *streamQuery<R>(query: CompiledQuery, chunkSize: number): AsyncIterableIterator<QueryResult<R>> {
    for await (const rows of this.#session.stream(query, chunkSize, this.#origin)) yield { rows: rows as R[] }
  }
}

/**
 * Makes the transaction context of a session: what `em.getTransactionContext()` and `em.getKysely()` answer.
 *
 * The class is the one of the ORM's own client, so that this package need not agree with MikroORM on a Kysely version.
 * MikroORM nests by `savepoint()`, `rollbackToSavepoint()` and `releaseSavepoint()`, as of Kysely's ControlledTransaction.
 *
 * `isLast` is asked, once, whether the first statement on it is the last one of its transaction.
 */
export function sessionKysely(
  session: Session,
  client: Kysely<any>,
  origin: StatementOrigin,
  isLast?: () => boolean,
): Kysely<any> {
  const connection = new SessionConnection(session, origin, isLast)
  return kyselyWith(session, client, {
    provideConnection: (consumer) => consumer(connection),
  })
}

/** The same over a connection provider that the caller brings. */
export function kyselyWith(session: Session, client: Kysely<any>, provider: ConnectionProvider): Kysely<any> {
  const SessionKysely = sessionKyselyClass(client.constructor as KyselyClass)
  return new SessionKysely(session, client.getExecutor().withConnectionProvider(provider))
}

const classes = new WeakMap<KyselyClass, ReturnType<typeof makeClass>>()

function sessionKyselyClass(Base: KyselyClass): ReturnType<typeof makeClass> {
  let SessionKysely = classes.get(Base)
  if (SessionKysely === undefined) classes.set(Base, (SessionKysely = makeClass(Base)))
  return SessionKysely
}

function makeClass(Base: KyselyClass) {
  return class SessionKysely extends Base {
    readonly #session: Session
    readonly #executor: QueryExecutor

    constructor(session: Session, executor: QueryExecutor) {
      super({ config: {}, driver: {}, dialect: {}, executor } as unknown as KyselyProps)
      this.#session = session
      this.#executor = executor
    }

    override get isTransaction(): boolean {
      return true
    }

    override transaction(): never {
      throw new ManagedSessionError(this.#session.role, 'kysely.transaction()')
    }

    override startTransaction(): never {
      throw new ManagedSessionError(this.#session.role, 'kysely.startTransaction()')
    }

    override connection(): never {
      throw new ManagedSessionError(this.#session.role, 'kysely.connection()')
    }

    override destroy(): never {
      throw new ManagedSessionError(this.#session.role, 'kysely.destroy()')
    }

    override withPlugin(plugin: Parameters<QueryExecutor['withPlugin']>[0]): SessionKysely {
      return new SessionKysely(this.#session, this.#executor.withPlugin(plugin))
    }

    override withoutPlugins(): SessionKysely {
      return new SessionKysely(this.#session, this.#executor.withoutPlugins())
    }

    savepoint(name: string): Command<SessionKysely> {
      return {
        execute: async () => {
          await this.#session.sendSavepoint(`savepoint ${name}`)
          return new SessionKysely(this.#session, this.#executor)
        },
      }
    }

    rollbackToSavepoint(name: string): Command<void> {
      return { execute: () => this.#session.sendSavepoint(`rollback to ${name}`) }
    }

    releaseSavepoint(name: string): Command<void> {
      return { execute: () => this.#session.sendSavepoint(`release ${name}`) }
    }
  }
}
