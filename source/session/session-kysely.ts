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
import { oncePerClass } from './once-per-class.ts'
import type { Scope } from './scopes.ts'
import type { Session } from './session.ts'

/** Who wrote a statement: MikroORM, whose DML is known to change the session, or the program itself in raw SQL. */
export type StatementOrigin = 'orm' | 'raw'

type KyselyClass = new (props: KyselyProps) => Kysely<any>

interface Command<T> {
  execute(): Promise<T>
}

/** Where the statements of a session go. */
export interface StatementSource extends ConnectionProvider {
  /** Runs one that needs nothing else of Kysely. */
  executeQuery(query: CompiledQuery): Promise<QueryResult<unknown>>
  /** The nested transaction that it is in, if any. */
  readonly scope?: Scope | undefined
  /** The same inside a nested transaction. Missing where statements run by themselves. */
  nested?(scope: Scope): StatementSource
  /** The same for raw SQL of the program. Missing where that makes no difference. */
  raw?(): StatementSource
}

/** What MikroORM and Kysely run statements on: every one goes to the session, and so into its one database transaction. */
class SessionConnection implements DatabaseConnection, StatementSource {
  readonly scope: Scope | undefined
  readonly #session: Session
  readonly #origin: StatementOrigin
  /** Whether the next statement is the last one. */
  #isLast: (() => boolean) | undefined

  constructor(session: Session, origin: StatementOrigin, scope: Scope | undefined, isLast?: () => boolean) {
    this.#session = session
    this.#origin = origin
    this.scope = scope
    this.#isLast = isLast
  }

  nested(scope: Scope): SessionConnection {
    return new SessionConnection(this.#session, this.#origin, scope)
  }

  raw(): SessionConnection {
    return new SessionConnection(this.#session, 'raw', this.scope)
  }

  provideConnection<T>(consumer: (connection: DatabaseConnection) => Promise<T>): Promise<T> {
    return consumer(this)
  }

  executeQuery<R>(query: CompiledQuery, options?: AbortableOperationOptions): Promise<QueryResult<R>> {
    const isLast = this.#isLast
    this.#isLast = undefined
    const execution = { signal: options?.signal, scope: this.scope, isLast }
    return this.#session.execute(query, this.#origin, execution) as Promise<QueryResult<R>>
  }

  /** For MikroORM's `signal` with the strategy 'cancel query'. */
  async collectSessionInfo(): Promise<void> {}

  async cancelQuery(): Promise<void> {
    this.#session.cancelStatement()
  }

  async *streamQuery<R>(query: CompiledQuery, chunkSize: number): AsyncIterableIterator<QueryResult<R>> {
    for await (const rows of this.#session.stream(query, chunkSize, this.#origin, this.scope))
      yield { rows: rows as R[] }
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
  return kyselyWith(session, client, new SessionConnection(session, origin, undefined, isLast))
}

/** The same over a source that the caller brings. */
export function kyselyWith(session: Session, client: Kysely<any>, source: StatementSource): Kysely<any> {
  const SessionKysely = sessionKyselyClass(client.constructor as KyselyClass)
  return new SessionKysely(session, client.getExecutor().withConnectionProvider(source), source)
}

const RAW = Symbol('koa-sqlassist context for raw SQL')
const SCOPE = Symbol('koa-sqlassist nested transaction')

/** The context for raw SQL beside this one of a session: in the same nested transaction. */
export function rawContextOf(context: Kysely<any> | undefined): Kysely<any> | undefined {
  return (context as { readonly [RAW]?: Kysely<any> } | undefined)?.[RAW]
}

/** The nested transaction that a context of a session is in, if any. */
export function scopeOf(context: Kysely<any> | undefined): Scope | undefined {
  return (context as { readonly [SCOPE]?: Scope | undefined } | undefined)?.[SCOPE]
}

const sessionKyselyClass = oncePerClass(makeSessionKyselyClass)

function makeSessionKyselyClass(Base: KyselyClass) {
  return class SessionKysely extends Base {
    readonly #session: Session
    readonly #executor: QueryExecutor
    /** Undefined where plugins have a say. */
    readonly #source: StatementSource
    /** Made for the first raw SQL. */
    #raw: SessionKysely | undefined

    constructor(session: Session, executor: QueryExecutor, source: StatementSource) {
      super({ config: {}, driver: {}, dialect: {}, executor } as unknown as KyselyProps)
      this.#session = session
      this.#executor = executor
      this.#source = source
    }

    get [SCOPE](): Scope | undefined {
      return this.#source.scope
    }

    get [RAW](): SessionKysely {
      return (this.#raw ??= this.#source.raw === undefined ? this : this.#over(this.#source.raw()))
    }

    #over(source: StatementSource): SessionKysely {
      return new SessionKysely(this.#session, this.#executor.withConnectionProvider(source), source)
    }

    /** MikroORM's statements come here, compiled; without a signal there is nothing for Kysely's executor to do. */
    override executeQuery(query: any, options?: AbortableOperationOptions): Promise<any> {
      const isPlain = options?.signal === undefined && typeof query.compile !== 'function'
      // Plugins have a say in what is sent.
      return isPlain && this.#executor.plugins.length === 0
        ? this.#source.executeQuery(query as CompiledQuery)
        : super.executeQuery(query, options)
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
      return new SessionKysely(this.#session, this.#executor.withPlugin(plugin), this.#source)
    }

    override withoutPlugins(): SessionKysely {
      return new SessionKysely(this.#session, this.#executor.withoutPlugins(), this.#source)
    }

    savepoint(name: string): Command<SessionKysely> {
      return {
        execute: async () => {
          const scope = await this.#session.openNested(name, this.#source.scope)
          return this.#over(scope === undefined ? this.#source : (this.#source.nested?.(scope) ?? this.#source))
        },
      }
    }

    // MikroORM calls the next two on the context of the savepoint that they name.

    rollbackToSavepoint(): Command<void> {
      return { execute: () => this.#session.rollBackNested(this.#source.scope) }
    }

    releaseSavepoint(): Command<void> {
      return { execute: () => this.#session.releaseNested(this.#source.scope) }
    }
  }
}
