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
import { onceFor } from '../database/once-for.ts'
import type { Scope } from './scopes.ts'
import type { Executor, Statement } from './statement.ts'
import type { StatementOrigin } from './write-state.ts'

/** Opens and ends nested transactions for a context of its session. */
export interface NestingHost {
  readonly role: string
  /** Whether its statements may only read. */
  readonly onlyReads: boolean
  openNested(name: string, outer: Scope | undefined, isReadOnly: boolean): Promise<Scope | undefined>
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
  /** The source for the inside of a nested transaction. */
  nested(scope: Scope): StatementSource
  /** The source for raw SQL of the program. */
  raw(): StatementSource
}

/** What MikroORM and Kysely run the statements of a session on. */
export class SessionConnection implements DatabaseConnection, StatementSource {
  readonly scope: Scope | undefined
  readonly #executor: Executor
  readonly #origin: StatementOrigin

  constructor(executor: Executor, origin: StatementOrigin, scope: Scope | undefined) {
    this.#executor = executor
    this.#origin = origin
    this.scope = scope
  }

  nested(scope: Scope): SessionConnection {
    return new SessionConnection(this.#executor, this.#origin, scope)
  }

  raw(): SessionConnection {
    return new SessionConnection(this.#executor, 'raw', this.scope)
  }

  provideConnection<T>(consumer: (connection: DatabaseConnection) => Promise<T>): Promise<T> {
    const executor = this.#executor
    if (executor.apart === undefined) return consumer(this)
    return executor.apart((own) => consumer(new SessionConnection(own, this.#origin, this.scope)))
  }

  executeQuery<R>(query: CompiledQuery, options?: AbortableOperationOptions): Promise<QueryResult<R>> {
    return this.#executor.execute(this.#statement(query, options)) as Promise<QueryResult<R>>
  }

  streamQuery<R>(
    query: CompiledQuery,
    chunkSize: number,
    options?: AbortableOperationOptions,
  ): AsyncIterableIterator<QueryResult<R>> {
    return this.#executor.track(resultsOf<R>(this.#executor.stream(this.#statement(query, options), chunkSize)))
  }

  /** For MikroORM's `signal` with the strategy 'cancel query'. */
  async collectSessionInfo(): Promise<void> {}

  async cancelQuery(): Promise<void> {
    this.#executor.cancelStatement()
  }

  #statement(query: CompiledQuery, options: AbortableOperationOptions | undefined): Statement {
    return { query, origin: this.#origin, scope: this.scope, options }
  }
}

async function* resultsOf<R>(chunks: AsyncIterable<unknown[]>): AsyncIterableIterator<QueryResult<R>> {
  for await (const rows of chunks) yield { rows: rows as R[] }
}

/**
 * Makes the transaction context of a session: what `em.getTransactionContext()` and `em.getKysely()` answer.
 *
 * The class is the one of the ORM's own client, so that this package need not agree with MikroORM on a Kysely version.
 * MikroORM nests by `savepoint()`, `rollbackToSavepoint()` and `releaseSavepoint()`, as of Kysely's ControlledTransaction.
 */
export function sessionKysely(session: NestingHost, client: Kysely<any>, source: StatementSource): Kysely<any> {
  const SessionKysely = sessionKyselyClass(client.constructor as KyselyClass)
  return new SessionKysely(session, client.getExecutor().withConnectionProvider(source), source)
}

const RAW = Symbol('koa-sqlassist context for raw SQL')
const SCOPE = Symbol('koa-sqlassist nested transaction')
const READ_ONLY = Symbol('koa-sqlassist nests read only')
const HOST = Symbol('koa-sqlassist session of a context')

/** The context for raw SQL beside this one of a session: in the same nested transaction. */
export function rawContextOf(context: Kysely<any> | undefined): Kysely<any> | undefined {
  return (context as { readonly [RAW]?: Kysely<any> } | undefined)?.[RAW]
}

/** The nested transaction that a context of a session is in, if any. */
export function scopeOf(context: Kysely<any> | undefined): Scope | undefined {
  return (context as { readonly [SCOPE]?: Scope | undefined } | undefined)?.[SCOPE]
}

/** Does `nest`, which nests a transaction on a context that may only read. One at a time nests on a context. */
export async function nestReadOnly<T>(context: Kysely<any> | undefined, nest: () => Promise<T>): Promise<T> {
  const nesting = context as { [READ_ONLY]?: boolean | undefined } | undefined
  if (nesting === undefined) return await nest()
  nesting[READ_ONLY] = true
  try {
    return await nest()
  } finally {
    nesting[READ_ONLY] = undefined
  }
}

/** The session of a context. */
export function hostOf(context: unknown): NestingHost | undefined {
  return (context as { readonly [HOST]?: NestingHost } | undefined)?.[HOST]
}

const sessionKyselyClass = onceFor(makeSessionKyselyClass)

function makeSessionKyselyClass(Base: KyselyClass) {
  return class SessionKysely extends Base {
    readonly #session: NestingHost
    readonly #executor: QueryExecutor
    /** Undefined where plugins have a say. */
    readonly #source: StatementSource
    /** Whether the next nested transaction may only read. */
    declare [READ_ONLY]?: boolean | undefined
    /** Made for the first raw SQL. */
    #raw: SessionKysely | undefined

    constructor(session: NestingHost, executor: QueryExecutor, source: StatementSource) {
      super({ config: {}, driver: {}, dialect: {}, executor } as unknown as KyselyProps)
      this.#session = session
      this.#executor = executor
      this.#source = source
    }

    get [HOST](): NestingHost {
      return this.#session
    }

    get [SCOPE](): Scope | undefined {
      return this.#source.scope
    }

    get [RAW](): SessionKysely {
      return (this.#raw ??= this.#over(this.#source.raw()))
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
          const isReadOnly = this[READ_ONLY] === true
          const scope = await this.#session.openNested(name, this.#source.scope, isReadOnly)
          return this.#over(scope === undefined ? this.#source : this.#source.nested(scope))
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
