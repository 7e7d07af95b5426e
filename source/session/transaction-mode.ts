import type { BeginOptions } from '../database/begin-options.ts'
import { ISOLATION_LEVELS, isolationLevelSetBy } from '../database/isolation-level.ts'
import type { SessionSettings } from './session-options.ts'

/** How a database transaction begins, and which isolation level it has. */
export class TransactionMode {
  begin: BeginOptions
  readonly #hasSnapshots: boolean
  /** Undefined where it is the server's default. */
  #isolationLevel: string | undefined

  constructor({ begin, dialect }: Pick<SessionSettings, 'begin' | 'dialect'>) {
    this.begin = begin
    this.#hasSnapshots = dialect === 'postgresql'
    this.#isolationLevel = begin.isolationLevel
  }

  /** Takes note of raw SQL of the program, which may set the level. */
  note(sql: string): void {
    if (this.#hasSnapshots) this.#isolationLevel = isolationLevelSetBy(sql) ?? this.#isolationLevel
  }

  /** Undefined where it is the server's default. */
  get isolationLevel(): string | undefined {
    return this.#isolationLevel
  }

  /** Has it begin with that level, unless that of the role is stronger, or it is to read a snapshot. Whether it has it. */
  raise(level: string): boolean {
    const { isolationLevel = level, readOnly } = this.begin
    const isRefused =
      isolationLevel !== level &&
      (readOnly === true || ISOLATION_LEVELS.indexOf(isolationLevel) > ISOLATION_LEVELS.indexOf(level))
    if (isRefused) return false
    this.begin = { ...this.begin, isolationLevel: level }
    this.#isolationLevel = level
    return true
  }

  /** Whether what is read in it holds only once it is committed. A transaction of SQLite's has no other beside it. */
  get isValidatedByCommit(): boolean {
    return this.#hasSnapshots && this.#isolationLevel === 'serializable'
  }
}
