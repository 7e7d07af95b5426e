import { emitWarning } from 'node:process'
import { errorText } from './describe.ts'
import type { Transaction } from './transaction.ts'

/** Where an error came up that no caller gets to see. */
export interface SuppressedWhere {
  /** What was called: a method of a data manager or synchronizer, a kind of hook, or the operation that let go of an error. */
  readonly method: string
  /** Who was called. Absent where the error is that of a whole operation. */
  readonly participant?: object
  /** The transaction that was calling. */
  readonly transaction: Transaction
}

/** An error that no caller gets to see, and where it came up. */
export interface Suppressed {
  /** What was thrown, as it is. */
  readonly error: unknown
  /** Where it came up. */
  readonly where: SuppressedWhere
}

/** Gets every error that no caller gets to see. */
export type OnSuppressedError = (error: unknown, where: SuppressedWhere) => void

/** What is done with such errors by default: a warning of the process with the code `SQLASSIST_SUPPRESSED_ERROR`. */
export function warnOfSuppressedError(error: unknown, { method }: SuppressedWhere): void {
  emitWarning(`An error in ${method} of a transaction was not thrown to anybody: ${errorText(error)}`, {
    type: 'SqlassistWarning',
    code: 'SQLASSIST_SUPPRESSED_ERROR',
    detail: error instanceof Error && error.stack !== undefined ? error.stack : errorText(error),
  })
}
