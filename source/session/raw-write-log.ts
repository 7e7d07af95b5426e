import process from 'node:process'

const SHOWN_CHARACTERS = 200
const SHOWN_STATEMENTS = 5
/** How statements begin in which nothing can hide. */
const HIDES_NOTHING = /^\s*(?:savepoint|release|rollback|set|reset|show)\b/i

/** Statements of a session that wrote, or may have, while the session was not marked as changed. */
export class RawWriteLog {
  readonly #writes: string[]
  /** Statements that look like reads, but may have called a function that writes. */
  readonly #doubtful: string[]
  #isUndonePartly: boolean

  constructor(writes: readonly string[] = [], doubtful: readonly string[] = [], isUndonePartly = false) {
    this.#writes = [...writes]
    this.#doubtful = [...doubtful]
    this.#isUndonePartly = isUndonePartly
  }

  /** Statements that wrote, as messages show them. */
  get writes(): readonly string[] {
    return this.#writes
  }

  /** Whether something was undone by a savepoint, of which the transaction keeps its number. */
  get isUndonePartly(): boolean {
    return this.#isUndonePartly
  }

  /** Whether the database has to be asked for writes. */
  get mayHideWrites(): boolean {
    return this.#doubtful.length > 0 && this.#writes.length === 0
  }

  noteWrite(sql: string): void {
    note(this.#writes, sql)
  }

  noteDoubtful(sql: string): void {
    if (!HIDES_NOTHING.test(sql)) note(this.#doubtful, sql)
  }

  /** The session has gone back to a savepoint. */
  noteUndone(): void {
    this.#isUndonePartly = true
  }

  /** The program has gone back to a savepoint of its own: what of it wrote is undone, or is not. */
  doubtAll(): void {
    this.noteUndone()
    for (const statement of this.#writes.splice(0)) note(this.#doubtful, statement)
  }

  /** The database says that there is a write among the doubtful statements. */
  takeDoubtfulForWrites(): void {
    this.#writes.push(...this.#doubtful.splice(0))
  }

  copy(): RawWriteLog {
    return new RawWriteLog(this.#writes, this.#doubtful, this.#isUndonePartly)
  }

  /** Warns of each write that is rolled back because it was not declared. */
  warn(role: string): void {
    for (const statement of this.#writes) warnOf(role, statement)
  }

  /** Warns that a write is rolled back which is hidden in one of the doubtful statements. */
  warnOfHidden(role: string): void {
    const [only, ...others] = this.#doubtful
    warnOf(role, others.length === 0 ? String(only) : `one of ${[only, ...others].join('; ')}`)
  }
}

function note(statements: string[], sql: string): void {
  const statement = shown(sql)
  if (statements.length < SHOWN_STATEMENTS && !statements.includes(statement)) statements.push(statement)
}

function warnOf(role: string, statement: string): void {
  process.emitWarning(
    `Raw SQL of role "${role}" wrote and is rolled back, since the session was not marked as changed: ` +
      `${statement} — call markChanged(em) or ctx.dbSession.markChanged('${role}') beside it.`,
    { code: 'SQLASSIST_UNMARKED_WRITE' },
  )
}

/** A statement cut to the length that messages show. */
export function shown(sql: string): string {
  return sql.length <= SHOWN_CHARACTERS ? sql : `${sql.slice(0, SHOWN_CHARACTERS)}…`
}
