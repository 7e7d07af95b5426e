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
import type { StatementResult } from '../database/database.ts'
import { ManagedSessionError } from './errors.ts'
import { oncePerClass } from '../database/once-per-class.ts'
import type { Scope } from './scopes.ts'
import type { StatementOrigin } from './session-options.ts'

/** How a statement is sent. */
export interface Execution {
  /** Aborted: it is not sent any more. */
  readonly signal?: AbortSignal | undefined
  /** In which nested transaction, if any. */
  readonly scope?: Scope | undefined
  /** Whether it is the last one: asked when it is about to be sent. */
  readonly isLast?: (() => boolean) | undefined
}

/** Where the statements of a transaction go. */
export interface StatementTarget {
  execute(query: CompiledQuery, origin: StatementOrigin, execution: Execution): Promise<StatementResult>
  stream(
    query: CompiledQuery,
    chunkSize: number,
    origin: StatementOrigin,
    scope: Scope | undefined,
  ): AsyncIterable<unknown[]>
  cancelStatement(): void
}

/** Opens and ends nested transactions for a context of its session. */
export interface NestingHost {
  readonly role: string
  openNested(name: string, outer: Scope | undefined): Promise<Scope | undefined>
  rollBackNested(scope: Scope | undefined): Promise<void>
  releaseNested(scope: Scope | undefined): Promise<void>
}

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
  readonly #target: StatementTarget
  readonly #origin: StatementOrigin
  /** Whether the next statement is the last one. */
  #isLast: (() => boolean) | undefined

  constructor(target: StatementTarget, origin: StatementOrigin, scope: Scope | undefined, isLast?: () => boolean) {
    this.#target = target
    this.#origin = origin
    this.scope = scope
    this.#isLast = isLast
  }

  nested(scope: Scope): SessionConnection {
    return new SessionConnection(this.#target, this.#origin, scope)
  }

  raw(): SessionConnection {
    return new SessionConnection(this.#target, 'raw', this.scope)
  }

  provideConnection<T>(consumer: (connection: DatabaseConnection) => Promise<T>): Promise<T> {
    return consumer(this)
  }

  executeQuery<R>(query: CompiledQuery, options?: AbortableOperationOptions): Promise<QueryResult<R>> {
    const isLast = this.#isLast
    this.#isLast = undefined
    const execution = { signal: options?.signal, scope: this.scope, isLast }
    return this.#target.execute(query, this.#origin, execution) as Promise<QueryResult<R>>
  }

  /** For MikroORM's `signal` with the strategy 'cancel query'. */
  async collectSessionInfo(): Promise<void> {}

  async cancelQuery(): Promise<void> {
    this.#target.cancelStatement()
  }

  async *streamQuery<R>(query: CompiledQuery, chunkSize: number): AsyncIterableIterator<QueryResult<R>> {
    for await (const rows of this.#target.stream(query, chunkSize, this.#origin, this.scope))
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
  session: StatementTarget & NestingHost,
  client: Kysely<any>,
  origin: StatementOrigin,
  isLast?: () => boolean,
): Kysely<any> {
  return kyselyWith(session, client, new SessionConnection(session, origin, undefined, isLast))
}

/** The same over a source that the caller brings. */
export function kyselyWith(session: NestingHost, client: Kysely<any>, source: StatementSource): Kysely<any> {
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
    readonly #session: NestingHost
    readonly #executor: QueryExecutor
    /** Undefined where plugins have a say. */
    readonly #source: StatementSource
    /** Made for the first raw SQL. */
    #raw: SessionKysely | undefined

    constructor(session: NestingHost, executor: QueryExecutor, source: StatementSource) {
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
