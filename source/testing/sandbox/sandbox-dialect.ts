import type { StatementResult } from '../../database/database.ts'

/** Sends one statement over the connection of a sandbox. */
export type Send = (sql: string, parameters?: readonly unknown[]) => Promise<StatementResult>

/** A frame, as far as it asks the database and has it check. */
export interface Asker {
  /** As whom, where that is not the user of the connection. */
  readonly role: string | undefined
  readonly send: Send
  /** Sends several statements that answer nothing, in one round trip where there are such. */
  readonly sendAll: (statements: readonly string[]) => Promise<void>
}

/** Goes along with the next statement. */
export interface Ahead {
  readonly sql: string
  readonly answered?: (rows: readonly unknown[]) => void
}

/** Where the sequences of a database are. */
export type Sequences = readonly SequencePlace[]

interface SequencePlace {
  readonly name: string
  readonly value: string
  readonly called: boolean
}

/** What a sandbox does differently on each kind of database. */
export interface SandboxDialect {
  /** Whether a transaction has settings of its own. */
  readonly hasSettings: boolean
  /** Whether the database refuses writes in a transaction that only reads. */
  readonly enforcesReadOnly: boolean
  /** What `checksLate` would ask for the user of the connection. Missing where asking costs no round trip. */
  readonly ahead?: Ahead
  /** Whether something is checked by COMMIT only. */
  checksLate(asker: Asker): Promise<boolean>
  /** Checks what COMMIT would check. @throws as COMMIT */
  check(asker: Asker): Promise<void>
  /** The schema may be another one from here on. */
  forget(): void
  /** Missing where sequences are undone with everything else. */
  readonly sequences?: {
    now(send: Send): Promise<Sequences>
    /** Sets them to where they were. */
    restore(send: Send, then: Sequences): Promise<void>
  }
  /** How many rows the transaction has written so far, undone or not. Missing where each statement shows whether it writes. */
  readonly countWrites?: (send: Send) => Promise<number>
}
