import { refusesWrite } from '../refuses-write.ts'

const BEGIN = 'begin;'
/** What a statement begins with that does not make its transaction read-only, where it is one alone. */
const ORDINARY =
  /^(?:begin;)?(?:select (?![^]*set_config)|insert into |update |delete from |savepoint |release |commit$|rollback$)/i
const MAKES_READ_ONLY = /(?:^|;)\s*(?:set|begin|start)\b[^;]*?\bread\s+only\b|transaction_read_only/i

/** So many statements are kept before they are looked at. */
const KEPT = 8

/** What a client that may write is allowed by the program; the server may allow less. */
export class WriteAccess {
  #isGivenUp = false
  /** The statements that were not looked at: only an error makes it matter what they say. */
  readonly #unread: string[] = []

  /** Notes a statement, by which the program may have given up to write. */
  note(sql: string): void {
    if (this.#unread.push(sql) === KEPT) this.#read()
  }

  /** Whether `error` means that the server cannot write any more, as the old primary after a failover. */
  isRefusedBy(error: unknown): boolean {
    if (!refusesWrite(error)) return false
    this.#read()
    return !this.#isGivenUp
  }

  #read(): void {
    this.#isGivenUp ||= this.#unread.some(givesUpWriting)
    this.#unread.length = 0
  }
}

function givesUpWriting(sql: string): boolean {
  const isOrdinary = ORDINARY.test(sql) && !sql.includes(';', BEGIN.length)
  return !isOrdinary && MAKES_READ_ONLY.test(sql)
}
