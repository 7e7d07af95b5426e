import { refusesWrite } from '../refuses-write.ts'

const BEGIN = 'begin;'
/** What a statement begins with that does not make its transaction read-only, where it is one alone. */
const ORDINARY =
  /^(?:begin;)?(?:select (?![^]*set_config)|insert into |update |delete from |savepoint |release |commit$|rollback$)/i
const MAKES_READ_ONLY = /(?:^|;)\s*(?:set|begin|start)\b[^;]*?\bread\s+only\b|transaction_read_only/i

/** What a client that may write is allowed by the program; the server may allow less. */
export class WriteAccess {
  #isGivenUp = false

  /** Notes a statement, by which the program may have given up to write. */
  note(sql: string): void {
    if (ORDINARY.test(sql) && !sql.includes(';', BEGIN.length)) return
    if (MAKES_READ_ONLY.test(sql)) this.#isGivenUp = true
  }

  /** Whether `error` means that the server cannot write any more, as the old primary after a failover. */
  isRefusedBy(error: unknown): boolean {
    return !this.#isGivenUp && refusesWrite(error)
  }
}
