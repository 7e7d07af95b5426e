import type { BeginOptions } from './begin-options.ts'
import type { Cancellable } from './cancelling.ts'
import type { ConnectionSource, ConnectionUser } from './connection-waits.ts'
import type { Decisions } from './decisions.ts'
import type { Provide } from './lent-connection.ts'
import type { PoolReport } from './pool-report.ts'
import type { Finish, PreparedTransactions } from './prepared.ts'
import type { AbstractSqlConnection, SqlEntityManager } from '@mikro-orm/sql'
import type { AbortableOperationOptions, CompiledQuery, DatabaseConnection as KyselyConnection } from 'kysely'
import type { ClusterIdentity, Fallbacks, OwnPositions, ReplicaReport, ReplicaRules, ServedBy } from './replicas.ts'
import type { StatementKind } from './statement-kind.ts'
import type { WalPosition } from './wal-position.ts'

/** What one statement gave back. `command` is PostgreSQL's command tag where there is one. */
export interface StatementResult {
  readonly rows: unknown[]
  readonly command?: string | undefined
  readonly numAffectedRows?: bigint | undefined
  readonly insertId?: bigint | undefined
}

/**
 * One checked-out connection of one database, held for one transaction, to its COMMIT or ROLLBACK. The holder of the
 * connection sends statements one at a time.
 */
export interface DatabaseConnection {
  /** The number of the server's process behind it, where there is one. */
  readonly backend?: number | undefined
  /** Which server it is to, for a role with replicas. */
  readonly servedBy?: ServedBy | undefined
  /** Whether nothing was sent in it yet. */
  readonly isFresh: boolean
  /** Sends now what begins the transaction. Missing where that is done already. @throws as `execute` */
  begin?(): Promise<void>
  /** What `sql` does, before it is sent. */
  kindOf(sql: string): StatementKind
  /**
   * Notes what a statement may leave on the connection, which is then given back clean. `isRaw`: the program wrote it. Missing
   * where nobody else gets the connection.
   */
  watch?(sql: string, isRaw: boolean): void
  /**
   * @throws TransactionAbortedError, before anything is sent, where the database has ended the transaction and the statement would
   *   run in autocommit; ConnectionLostError; else the driver's error. So does `stream`.
   */
  execute(sql: string, parameters: readonly unknown[]): Promise<StatementResult>
  /** As `execute`, with statements of ours around it. It has to be one statement. Missing where that saves no round trip. */
  executeAmong?(sql: string, parameters: readonly unknown[], around: Around): Promise<ResultAmong>
  /** Makes a savepoint, from which on the database refuses writes until its end. Missing where it cannot. */
  savepointToRead?(name: string): Promise<void>
  /** Rows in chunks of `chunkSize`; `exclusive` runs each round trip of it while no other statement is on its way. */
  stream(sql: string, parameters: readonly unknown[], chunkSize: number, exclusive: Exclusive): AsyncIterable<unknown[]>
  /** Whether it is known, without asking, that the database would commit what was sent. */
  readonly isIntact: boolean
  /** Whether the database will refuse to commit what was sent. @throws ConnectionLostError */
  isAborted(): Promise<boolean>
  /**
   * Whether anything was written that is not undone, also where the statements' texts did not show it, such as by a function.
   * `isUndonePartly`: it went back to a savepoint.
   */
  wrote(isUndonePartly: boolean): Promise<boolean>
  /** Sends COMMIT, after `decision` where there is one to be written down, and checks what the database made of it. */
  commit(decision?: string): Promise<CommitAnswer>
  /**
   * Sends a statement with COMMIT behind it, in one round trip. Missing where that saves nothing.
   * @throws the driver's error when nothing was committed
   */
  executeAndCommit?(sql: string): Promise<CommittedStatement>
  /** Sends PREPARE TRANSACTION and checks what the database made of it. Missing where the database has no such thing. */
  prepare?(gid: string): Promise<PrepareAnswer>
  /**
   * Finishes what was prepared, over this connection. Returns where that is, as in {@link CommitAnswer}.
   * @throws the driver's error
   */
  finishPrepared?(gid: string, how: Finish): Promise<WalPosition | undefined>
  /** `doubt`: asked in the same round trip. */
  rollback(doubt?: Doubt): Promise<void>
  /** Asks the database to give up the statement on its way, if there is one. */
  cancel(): void
  /**
   * Gives the connection back; `broken` destroys it instead. With a promise, which never rejects, where something on its way has
   * to come to an end before somebody else may have it.
   */
  release(broken?: boolean): Promise<void> | undefined
}

/** What travels with a statement, in one round trip. An error of one keeps those behind it from being carried out. */
export interface Around {
  readonly before: readonly string[]
  readonly behind: readonly string[]
}

export interface ResultAmong {
  readonly before: readonly StatementResult[]
  readonly own: StatementResult
}

/** That something was written which no text shows. */
export interface Doubt {
  /** Whether the transaction went back to a savepoint. */
  readonly isUndonePartly: boolean
  isTrue(): void
}

/**
 * What came of a COMMIT: done, turned into a rollback without an error, never sent, refused with an error, or unknown.
 * `position` is there where replicas are to show it. A COMMIT is never sent when the connection was lost before (a ConnectionLostError). The outcome is unknown when the
 * connection was lost meanwhile.
 */
export type CommitAnswer = EndAnswer<'committed'> & { readonly position?: WalPosition | undefined }

/** What came of a statement and the COMMIT behind it; `answer` is undefined where the COMMIT was not carried out. */
export interface CommittedStatement {
  readonly result: StatementResult
  readonly answer: CommitAnswer | undefined
}

/** What came of a PREPARE TRANSACTION, in the same words. */
export type PrepareAnswer = EndAnswer<'prepared'>

type EndAnswer<Done extends string> =
  | { readonly outcome: Done | 'rolled back' }
  | { readonly outcome: 'lost' | 'refused' | 'unknown'; readonly error: unknown }

export type Exclusive = <T>(work: () => Promise<T>) => Promise<T>

/**
 * Called when a statement is about to be sent, with what the statement does. `backend` is the number of the server's
 * process that gets it, where there is one; `servedBy` is there for a role with replicas. Returns whether the program wrote it.
 * Throws to refuse the statement.
 */
export type Admit = (kind: StatementKind, backend?: number, servedBy?: ServedBy) => boolean

/** Statements that read, each on its own. PostgreSQL keeps each of them to that, in a transaction around it. */
export interface Reads {
  execute(query: CompiledQuery, admit: Admit, options?: AbortableOperationOptions): Promise<StatementResult>
  /** Rows in chunks of `chunkSize`. */
  stream(
    query: CompiledQuery,
    chunkSize: number,
    admit: Admit,
    options?: AbortableOperationOptions,
  ): AsyncIterable<unknown[]>
  /** Asks the database to give up the statements on their way. */
  cancel(): void
}

/** How MikroORM's connection is closed, and opened again. */
export interface Renewal {
  /** Keeps its options, which MikroORM forgets. */
  readonly close: () => Promise<void>
  /** Called when nobody gets the old pool or handle any more. */
  readonly dropped: () => void
  /** Missing where the next statement opens it. */
  readonly connect: (() => Promise<void>) | undefined
  /** Waits until the old one is closed, unless the caller may be what keeps it open. */
  readonly untilClosed: (closing: Promise<void>) => Promise<void>
}

/** How many connections a pool may open, and to which server. */
export interface PoolSize {
  /** Host and port. */
  readonly server: string
  readonly max: number
}

/** The unit of work that a session reads for, as far as a database needs to know it. */
export interface ReadingUnit {
  /** What waits for connections and holds them. */
  readonly user?: ConnectionUser | undefined
  /** What its reads from replicas have to show; undefined outside of units of work. */
  readonly positions?: OwnPositions | undefined
  /** The container of its sessions. */
  readonly dbSession?: object | undefined
}

/** The replicas of a database. */
export interface Replication {
  /** Whether its commits bring their positions with them. */
  readonly reportsCommits: boolean
  /** Where the last of its commits is that this process has heard of; 0 before the first one. */
  readonly lastCommit: WalPosition
  /** From here on each commit brings its position with it, and `heard` is called with it. */
  reportCommits(heard: (position: WalPosition) => void): void
  /** Whether it reads from its replicas. */
  readonly isFollowing: boolean
  /** Reads from its replicas from here on. Returns what gets the positions of the commits that they are to show. */
  follow(options: FollowOptions): (position: WalPosition) => void
  /** The cluster and the database; undefined where its user may not ask for that. @throws the driver's error */
  identity(): Promise<ClusterIdentity | undefined>
  /** The replicas as they are now; empty where it does not read from any. */
  report(): ReplicaReport[]
  /** How many statements went to the primary, by why. */
  readonly fallbacks: Fallbacks
}

export interface FollowOptions {
  readonly rules: ReplicaRules
  /** Called before anything is sent to a replica, until it returns true: they could be compared. @throws ConfigurationError */
  readonly assertSameDatabase: () => Promise<boolean>
  /** Called with a replica whose state is another one. */
  readonly changed: (replica: ReplicaReport) => void
}

/** The database behind one role, as far as sessions need it. */
export interface Database {
  readonly dialect: 'postgresql' | 'sqlite'
  /** For statements of `em` that read, each on its own, over `connection`: the primary's or a replica's. */
  reads(connection: AbstractSqlConnection, em: SqlEntityManager, options: BeginOptions, unit: ReadingUnit): Reads
  /**
   * Takes a connection for a transaction of `em`, begun by then or together with its first statement. Nothing stays
   * checked out when that fails. Where it is cancelled, a wait for a replica is over. @throws ConnectionDeadlockError
   */
  begin(
    options: BeginOptions,
    em: SqlEntityManager,
    unit: ReadingUnit,
    cancellable: Cancellable,
  ): Promise<DatabaseConnection>
  /** Where the connections to the primary come from. */
  readonly source: ConnectionSource
  /**
   * Passes a connection that Kysely takes to `consumer`, so that it comes back in any case, and clean. `leftOpen`, for one that
   * a session uses: the error where a statement has left a transaction open that others would be in.
   */
  lend<T>(
    connection: AbstractSqlConnection,
    provide: Provide,
    consumer: (connection: KyselyConnection) => Promise<T>,
    leftOpen?: () => Error,
  ): Promise<T>
  /** What was decided in it about commits over several databases. */
  readonly decisions: Decisions
  /** What is prepared in it, where the database knows PREPARE TRANSACTION. */
  readonly prepared?: PreparedTransactions | undefined
  /** The pool as it is now; undefined where there is none. */
  pool(): Promise<PoolReport | undefined>
  /** The role whose session has the only connection now, if there is only one. */
  readonly holder?: string | undefined
  /** Of the pool to the primary, as it is configured. Undefined where there is none. */
  readonly poolSize: PoolSize | undefined
  /**
   * How many connections its server allows to those who are not superusers. Undefined where it has none to count, or behind a
   * pooler, which is at another port. @throws the driver's error
   */
  allowedConnections(): Promise<number | undefined>
  /** Whether somebody has one of its connections, as far as known. */
  readonly isInUse: boolean
  /** Resolves when the only connection is there that takes the place of another. Undefined where none does. */
  readonly reopening: Promise<void> | undefined
  /**
   * Drops what `connection`, which is open, leads to: a pool, or a handle. Those who have it end their work over it, and it
   * is closed then. The next ones get another, at once or when that is there.
   */
  renew(connection: AbstractSqlConnection, renewal: Renewal): Promise<void>
  /** Waits until nobody uses its connections. Returns what is to be called when its ORM is closed, or is not. */
  closing(): Promise<(isClosed: boolean) => void | Promise<void>>
  /** Closes the connections that are in use: what is sent over them fails. */
  breakOff(): void
  /** The primary and its replicas, where the database can have some. */
  readonly replication?: Replication
  /** From here on each transaction is begun so that it can become the commit point of one. */
  mayDecide(): void
}
