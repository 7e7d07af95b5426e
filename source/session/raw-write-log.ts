import process from 'node:process'

const LOCKS_ROWS = /\bfor\s+(?:no\s+key\s+)?(?:update|(?:key\s+)?share)\b/i
const SHOWN_CHARACTERS = 200
const SHOWN_STATEMENTS = 5

/** What is known of the raw SQL of a session that nobody marked as changed. */
export class RawWriteLog {
  readonly #writes: string[]
  /** Raw statements that look like reads; one of them may call a function that writes. */
  readonly #reads: string[]
  #locksRows: boolean

  constructor(writes: readonly string[] = [], reads: readonly string[] = [], locksRows = false) {
    this.#writes = [...writes]
    this.#reads = [...reads]
    this.#locksRows = locksRows
  }

  /** Statements that wrote, as they are shown. */
  get writes(): readonly string[] {
    return this.#writes
  }

  /** How many statements were noted. */
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

  /** What was done and undone again leaves a trace in the database that it does not tell from a write. */
  noteUndoneWrite(): void {
    this.#locksRows = true
  }

  /** Whether only the database can tell if something was written. It does not tell a locked row from a written one. */
  get mayHideWrites(): boolean {
    return this.#reads.length > 0 && this.#writes.length === 0 && !this.#locksRows
  }

  /** One of the statements that looked like reads wrote. */
  takeReadsForWrites(): void {
    this.#writes.push(...this.#reads.splice(0))
  }

  copy(): RawWriteLog {
    return new RawWriteLog(this.#writes, this.#reads, this.#locksRows)
  }

  /** Tells of every write that is rolled back since nobody declared it. */
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

/** Whether a statement that reads locks what it reads. */
export function locksRowsIn(sql: string): boolean {
  return LOCKS_ROWS.test(sql)
}

/** A statement as it is shown in a message. */
export function shown(sql: string): string {
  return sql.length <= SHOWN_CHARACTERS ? sql : `${sql.slice(0, SHOWN_CHARACTERS)}…`
}
