import type { Asker, SandboxDialect } from './sandbox-dialect.ts'

const DEFERRED = `select 1 from sqlite_schema where sql like '%initially deferred%' limit 1`

/** SQLite under test. It has no sequences, and says of each statement whether it writes. */
export class SqliteSandbox implements SandboxDialect {
  readonly hasSettings = false
  readonly enforcesReadOnly = false
  /** Whether a foreign key may be checked at the end; undefined before that was asked, and after a change of the schema. */
  #defers: boolean | undefined

  forget(): void {
    this.#defers = undefined
  }

  async checksLate({ send }: Asker): Promise<boolean> {
    return (this.#defers ??= (await send(DEFERRED)).rows.length > 0)
  }

  /** RELEASE of an inner savepoint does not check them. */
  async check(asker: Asker): Promise<void> {
    if (!(await this.checksLate(asker)) || (await asker.send('pragma foreign_key_check')).rows.length === 0) return
    throw Object.assign(new Error('FOREIGN KEY constraint failed'), { code: 'SQLITE_CONSTRAINT_FOREIGNKEY' })
  }
}
