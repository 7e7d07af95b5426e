import { warn } from '../transaction/warnings.ts'

/** Warns of an error that must not replace the one thrown to the caller. */
export function report(error: unknown, where: string): void {
  warn(`${where}: ${String(error)}`, { code: 'SQLASSIST_SUPPRESSED_ERROR', error })
}
