import process from 'node:process'

const SHOWN_CHARACTERS = 200
const SHOWN_STATEMENTS = 5

/** Raw SQL of a session that was not marked as changed. */
export class RawWriteLog {
  readonly #writes: string[]
  /** Raw statements that look like reads, but may call a function that writes. */
  readonly #reads: string[]
  #locksRows: boolean

  constructor(writes: readonly string[] = [], reads: readonly string[] = [], locksRows = false) {
    this.#writes = [...writes]
    this.#reads = [...reads]
    this.#locksRows = locksRows
  }

  /** Statements that wrote, as messages show them. */
  get writes(): readonly string[] {
    return this.#writes
  }

  /** The number of statements noted. */
  get length(): number {
    return this.#writes.length + this.#reads.length
  }

  noteWrite(sql: string): void {
    if (this.#writes.length < SHOWN_STATEMENTS) this.#writes.push(shown(sql))
  }

  noteRead(sql: string, isRaw: boolean, locksRows: boolean): void {
    if (locksRows) this.#locksRows = true
    if (isRaw && this.#reads.length < SHOWN_STATEMENTS) this.#reads.push(shown(sql))
  }

  /** A write undone by a savepoint leaves a trace in the database, which then looks as if something was written. */
  noteUndoneWrite(): void {
    this.#locksRows = true
  }

  /**
   * Whether the database has to be asked for writes. The answer is useless once rows were locked: they look written.
   */
  get mayHideWrites(): boolean {
    return this.#reads.length > 0 && this.#writes.length === 0 && !this.#locksRows
  }

  /** Counts the statements that look like reads as writes. */
  takeReadsForWrites(): void {
    this.#writes.push(...this.#reads.splice(0))
  }

  copy(): RawWriteLog {
    return new RawWriteLog(this.#writes, this.#reads, this.#locksRows)
  }

  /** Warns of each write that is rolled back because it was not declared. */
  warn(role: string): void {
    for (const statement of this.#writes) {
      process.emitWarning(
        `Raw SQL of role "${role}" wrote and is rolled back, since the session was not marked as changed: ` +
          `${statement} — call markChanged(em) or ctx.dbSession.markChanged('${role}') beside it.`,
        { code: 'SQLASSIST_UNMARKED_WRITE' },
      )
    }
  }
}

/** A statement cut to the length that messages show. */
export function shown(sql: string): string {
  return sql.length <= SHOWN_CHARACTERS ? sql : `${sql.slice(0, SHOWN_CHARACTERS)}…`
}
