import type { Kysely } from 'kysely'
import type { StatementResult } from '../database/database.ts'
import { SessionEndedError } from './errors.ts'
import { NestedTransactionEndedError, NestedTransactionOpenError } from './nested-errors.ts'
import { innermost, type Nestable } from './nested-transactions.ts'
import { asReadOnlyError, asReadOnlyScopeError } from './read-only-refusal.ts'
import type { PipelinedHost } from './pipelined-commit.ts'
import { Rounds } from './rounds.ts'
import type { Scope } from './scopes.ts'
import type { SessionCore } from './session-core.ts'
import { scopeOf, type NestingHost } from './session-kysely.ts'
import { SessionStreams } from './session-streams.ts'
import type { Statement } from './statement.ts'

const END = 'The end of its request or run'

/** The statements of a session in its database transaction, its streams, and the transactions nested in it. */
export class SessionStatements implements PipelinedHost, NestingHost {
  readonly #core: SessionCore
  readonly #session: Nestable
  /** Made with the first stream. */
  #streams: SessionStreams | undefined
  /** How many calls of em.transactional() are under way, one inside the other or beside it. */
  #nesting = 0

  /** `session` is what code inside of em.transactional() is known to be nested in. */
  constructor(core: SessionCore, session: Nestable) {
    this.#core = core
    this.#session = session
  }

  get role(): string {
    return this.#core.role
  }

  get onlyReads(): boolean {
    return this.#core.state === 'readonly'
  }

  async execute(statement: Statement): Promise<StatementResult> {
    this.#core.assertUsable()
    const depth = this.#depthHere(statement.scope)
    try {
      return await this.#core.transaction.statements.execute(statement, depth)
    } catch (error) {
      throw this.#noted(error, statement)
    }
  }

  async executeAndCommit(statement: Statement, isLast: () => boolean): Promise<StatementResult> {
    this.#core.assertUsable()
    const depth = this.#depthHere(statement.scope)
    try {
      return await this.#core.transaction.statements.executeAndCommit(statement, depth, isLast)
    } catch (error) {
      throw this.#noted(error, statement)
    }
  }

  #noted(error: unknown, { query }: Statement): unknown {
    if (error instanceof SessionEndedError) return this.#core.life.noteLateUse(error)
    return this.#refusal(error, { query })
  }

  #refusal(error: unknown, { query }: Pick<Statement, 'query'>): unknown {
    if (this.onlyReads) return asReadOnlyError(this.role, query.sql, error)
    return this.#core.transaction.statements.isReadOnly ? asReadOnlyScopeError(this.role, query.sql, error) : error
  }

  cancelStatement(): void {
    this.#core.transaction.cancelStatement()
  }

  /** In how many nested transactions a statement of `scope` is: those count that the running code was called in. */
  #depthHere(scope: Scope | undefined): number {
    const { scopes } = this.#core.transaction.statements
    const depth = scopes.depthOf(scope)
    if (this.#nesting === 0) return depth
    const called = scopeOf(innermost(this.#session, this.#core.em).getTransactionContext())
    return called === scope ? depth : Math.max(depth, scopes.depthOf(called))
  }

  // Streams

  async *stream(statement: Statement, chunkSize: number): AsyncIterable<unknown[]> {
    this.#core.assertUsable()
    try {
      yield* this.#core.transaction.statements.stream(statement, chunkSize)
    } catch (error) {
      throw this.#refusal(error, statement)
    }
  }

  /** Makes `rows` a stream of the session, which ends with it. */
  track<Row>(rows: AsyncIterable<Row>, em?: object): AsyncIterableIterator<Row> {
    this.#streams ??= new SessionStreams(() => this.#core.life.refuseRows())
    return this.#streams.add(rows, em)
  }

  /** Whether a stream of the session has a connection. */
  get streams(): boolean {
    return this.#streams?.underWay === true
  }

  /** Closes the streams under way. `quietly`: nobody waits for their rows any more, so that they just end. */
  async closeStreams(quietly?: boolean): Promise<void> {
    await this.#streams?.close(quietly)
  }

  /** Closes the streams that were opened by the entity manager of a nested transaction, which ends. */
  async closeStreamsOf(em: object): Promise<void> {
    await this.#streams?.closeThoseOf(em)
  }

  /** Closes the streams under way without waiting for that. */
  dropStreams(): void {
    if (this.#streams?.isEmpty === false) this.#core.settings.background(this.#streams.close())
  }

  // Nested transactions

  /**
   * Does `work`, a call of em.transactional(). As long as it is under way, the session can neither be committed nor go back
   * to a savepoint, which would take half of it.
   */
  async nest<T>(work: () => Promise<T>): Promise<T> {
    this.#nesting++
    try {
      return await work()
    } finally {
      this.#nesting--
    }
  }

  /** @throws NestedTransactionOpenError while em.transactional() is under way */
  assertNotNested(what: string): void {
    if (this.#nesting > 0) throw new NestedTransactionOpenError(this.role, what)
  }

  /** At the end of the unit of work. @throws NestedTransactionOpenError while a transaction of the program's is open */
  assertAllEnded(): void {
    this.assertNotNested(END)
    if (this.#core.hasBegunByHand) throw new NestedTransactionOpenError(this.role, END, 'em.begin()')
  }

  /** @throws NestedTransactionOpenError while em.transactional() is under way; as {@link SessionCore.assertUsable} */
  refuseNested(what: string): void {
    this.#core.assertUsable()
    this.assertNotNested(what)
  }

  /** Makes the savepoint of a nested transaction of MikroORM's. */
  async openNested(name: string, outer: Scope | undefined, isReadOnly: boolean): Promise<Scope | undefined> {
    if (this.#core.settings.scope === 'statement') return undefined
    this.#core.assertUsable()
    return await this.#core.transaction.nested.open(name, outer, isReadOnly && !this.onlyReads)
  }

  async releaseNested(scope: Scope | undefined): Promise<void> {
    if (scope === undefined) return
    this.#core.assertUsable()
    await this.#core.transaction.nested.release(scope)
  }

  async rollBackNested(scope: Scope | undefined): Promise<void> {
    if (scope === undefined) return
    // What is under way in it would come after its rollback, and stay.
    try {
      for (const rounds = new Rounds(this.role); !this.#core.isIdle; rounds.next()) await this.#core.idle()
    } finally {
      await this.#core.transaction.nested.rollBack(scope)
    }
  }

  /**
   * Keeps the session from being committed as if nothing was lost: a flush has failed, and MikroORM forgot what else it was
   * to write. Where every flush commits, the session can only be rolled back.
   */
  noteFailedFlush(error: unknown, context: Kysely<any> | undefined): void {
    const core = this.#core
    if (core.life.ended || core.state === 'readonly') return
    if (core.leavesTransactionsToMikroOrm) core.fail(error)
    else if (!(error instanceof NestedTransactionEndedError))
      core.transaction.fail(error, this.#depthHere(scopeOf(context)))
  }
}
