import process from 'node:process'
import { errorText } from './describe.ts'
import type { Transaction } from './transaction.ts'

/** Where an error came up that no caller gets to see. */
export interface SuppressedWhere {
  /** The call that threw: a method of a participant, a kind of hook, or the operation that let go of an error. */
  readonly method: string
  /** The data manager, synchronizer or hook that was called. Absent where the error is that of a whole operation. */
  readonly participant?: object
  /** The transaction that was calling. */
  readonly transaction: Transaction
}

/** An error that no caller gets to see, and where it came up. */
export interface Suppressed {
  /** The error, as the same object. */
  readonly error: unknown
  /** Where it came up. */
  readonly where: SuppressedWhere
}

/** Gets every error that no caller gets to see. */
export type OnSuppressedError = (error: unknown, where: SuppressedWhere) => void

/** The default for {@link OnSuppressedError}: a warning of the process with the code `SQLASSIST_SUPPRESSED_ERROR`. */
export function warnOfSuppressedError(error: unknown, { method }: SuppressedWhere): void {
  warn(`An error in ${method} of a transaction was not thrown to anybody: ${errorText(error)}`, {
    type: 'SqlassistWarning',
    code: 'SQLASSIST_SUPPRESSED_ERROR',
    error,
  })
}

/** Emits a warning of the process because of an error, whose stack is the detail. Every room uses it. */
export function warn(message: string, { type, code, error }: WarningOptions): void {
  const detail = error instanceof Error && error.stack !== undefined ? error.stack : errorText(error)
  process.emitWarning(message, { ...(type === undefined ? {} : { type }), code, detail })
}

interface WarningOptions {
  /** The name of the warning. Default: the one of node:, `Warning`. */
  readonly type?: 'SqlassistWarning'
  readonly code: string
  readonly error: unknown
}

/** Warns of an error that must not replace the one thrown to the caller. */
export function report(error: unknown, where: string): void {
  warn(`${where}: ${String(error)}`, { code: 'SQLASSIST_SUPPRESSED_ERROR', error })
}
