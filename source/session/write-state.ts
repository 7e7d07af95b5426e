import type { CompiledQuery } from 'kysely'
import { ManagedSessionError, ReadOnlySessionError, UnmarkedWriteError } from './errors.ts'
import type { Doubt } from '../database/database.ts'
import { hasLockingClause, mayCall } from '../database/may-lock.ts'
import { leftoversAmong } from '../database/leftovers.ts'
import { RawWriteLog, shown } from './raw-write-log.ts'
import { assertReads } from './read-only-refusal.ts'
import type { SessionSettings } from './session-options.ts'
import type { SessionState } from './session-state.ts'
import type { SavepointStep, StatementKind } from '../database/statement-kind.ts'

/** Who wrote a statement: MikroORM, whose DML is known to change the session, or the program itself in raw SQL. */
export type StatementOrigin = 'orm' | 'raw'

const KYSELY_WRITES = new Set(['InsertQueryNode', 'UpdateQueryNode', 'DeleteQueryNode', 'MergeQueryNode'])

/** A state to go back to. */
export interface WrittenThen {
  readonly state: SessionState
  readonly log: RawWriteLog | undefined
  readonly mayHoldLocks: boolean
  /** How many savepoints the program had set. */
  readonly ownSavepoints: number
}

/** A savepoint that the program has set, and what was known of its raw SQL then. */
interface OwnSavepoint {
  readonly name: string
  readonly log: RawWriteLog | undefined
}

/** What a session wrote, as far as known: which statements it lets pass, and whether it is to be committed. */
export class WriteState {
  readonly #settings: SessionSettings
  #state: SessionState
  /** Counts the writes that were let pass. */
  version = 0
  #mayHoldLocks = false
  /** What is known of raw SQL that nobody declared. Undefined without such SQL. */
  #log: RawWriteLog | undefined
  #doubt: Doubt | undefined
  readonly #ownSavepoints: OwnSavepoint[] = []

  constructor(settings: SessionSettings) {
    this.#settings = settings
    this.#state = settings.initialState
  }

  get state(): SessionState {
    return this.#state
  }

  /** Whether its transaction may hold a lock that somebody waits for: anything but plain reads was let pass. */
  get mayHoldLocks(): boolean {
    return this.#mayHoldLocks
  }

  /**
   * Lets a statement pass, or refuses it; notes what a write does to the state.
   * @throws ReadOnlySessionError, ManagedSessionError
   */
  admit(kind: StatementKind, query: CompiledQuery, origin: StatementOrigin): void {
    if (kind === 'read') {
      if (this.#state === 'readonly') assertReads(this.#settings, query.sql)
      if (!this.#mayHoldLocks || this.#state === 'active') this.#noteRead(query, origin)
      return
    }
    const { role, rawWrites } = this.#settings
    if (kind === 'control') throw new ManagedSessionError(role, `"${shown(query.sql)}"`)
    if (this.#state === 'readonly') throw new ReadOnlySessionError(role, `"${shown(query.sql)}" would write`)
    this.version++
    this.#mayHoldLocks = true
    if (origin === 'orm' || KYSELY_WRITES.has(query.query.kind) || rawWrites === 'commit') this.#state = 'changed'
    else if (this.#state !== 'changed') this.#undeclared.noteWrite(query.sql)
  }

  /** What a read may do besides. The program may wait for a lock of any raw SQL. */
  #noteRead(query: CompiledQuery, origin: StatementOrigin): void {
    const mayWrite = this.#mayHideWrite(query, origin)
    this.#mayHoldLocks ||= mayWrite || origin === 'raw' || hasLockingClause(query.sql)
    if (mayWrite && this.#state === 'active') this.#undeclared.noteDoubtful(query.sql)
  }

  /** Whether it runs code of which its text says nothing: only the database knows what that does. */
  #mayHideWrite({ sql, query }: CompiledQuery, origin: StatementOrigin): boolean {
    if (query.kind === 'RawNode' && origin === 'raw') return true
    const relations = this.#settings.relations()
    if (origin === 'raw') return leftoversAmong(sql, true, relations) !== 'none'
    return mayCall(sql) || relations.views.some((name) => sql.includes(`"${name}"`))
  }

  /** @throws ReadOnlySessionError */
  markChanged(): void {
    if (this.#state === 'readonly') {
      throw new ReadOnlySessionError(this.#settings.role, 'it cannot be marked as changed')
    }
    this.#state = 'changed'
    this.#log = undefined
  }

  /**
   * At the end: does with what wrote, and that nobody declared, what the role's `rawWrites` says. `wrote` asks the database,
   * since a function that writes looks like a read.
   * @throws UnmarkedWriteError for `'error'`
   */
  settle(wrote: (isUndonePartly: boolean) => Promise<boolean>): Promise<void> | undefined {
    const log = this.#log
    if (this.#state !== 'active' || log === undefined) return undefined
    const { role, rawWrites } = this.#settings
    if (rawWrites !== 'rollback') return this.#settle(log, wrote)
    log.warn(role)
    if (log.mayHideWrites) {
      this.#doubt = { isUndonePartly: log.isUndonePartly, isTrue: () => log.warnOfHidden(role) }
    }
    return undefined
  }

  /** Whether it is known that raw SQL wrote which is rolled back, since nobody declared it. */
  get isToBeUndone(): boolean {
    return this.#state === 'active' && this.#log !== undefined && this.#log.writes.length > 0
  }

  /** What is asked with the ROLLBACK. */
  get doubt(): Doubt | undefined {
    return this.#doubt
  }

  async #settle(log: RawWriteLog, wrote: (isUndonePartly: boolean) => Promise<boolean>): Promise<void> {
    const { role, rawWrites } = this.#settings
    if (log.mayHideWrites && (await wrote(log.isUndonePartly))) log.takeDoubtfulForWrites()
    if (log.writes.length === 0) return
    if (rawWrites === 'error') throw new UnmarkedWriteError(role, log.writes)
    this.#state = 'changed'
  }

  /** Whether it may turn out at the end that there is something to commit. */
  get mayTurnOutChanged(): boolean {
    return this.#settings.rawWrites === 'commit' && this.#state === 'active' && this.#log?.mayHideWrites === true
  }

  now(): WrittenThen {
    const { length: ownSavepoints } = this.#ownSavepoints
    return { state: this.#state, log: this.#log?.copy(), mayHoldLocks: this.#mayHoldLocks, ownSavepoints }
  }

  /** Goes back to what it was, with the database; `isInside`: the transaction goes on, and what was undone has left its trace. */
  goBackTo({ state, log, mayHoldLocks, ownSavepoints }: WrittenThen, isInside: boolean): void {
    this.#state = state
    this.#log = log?.copy()
    // The database has let go of the locks taken since.
    this.#mayHoldLocks = mayHoldLocks
    this.#ownSavepoints.length = Math.min(this.#ownSavepoints.length, ownSavepoints)
    if (isInside) this.#undeclared.noteUndone()
  }

  /** Notes what the program has done with a savepoint of its own. PostgreSQL is asked what is left of a write. */
  noteStep({ does, name }: SavepointStep): void {
    if (this.#settings.dialect === 'sqlite') this.#noteStepOfSqlite(does, name)
    else if (does === 'rollback' && this.#state === 'active') this.#undeclared.doubtAll()
  }

  #noteStepOfSqlite(does: SavepointStep['does'], name: string): void {
    const own = this.#ownSavepoints
    if (does === 'savepoint') return void own.push({ name, log: this.#log?.copy() })
    const index = own.findLastIndex((each) => each.name === name)
    // One that is not known leaves all in the log: rather refused once too often than lost.
    if (index < 0) return
    own.length = does === 'release' ? index : index + 1
    if (does === 'rollback') this.#log = own[index]?.log?.copy()
  }

  get #undeclared(): RawWriteLog {
    return (this.#log ??= new RawWriteLog())
  }
}
