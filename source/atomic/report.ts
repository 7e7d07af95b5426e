/** Reports an error that must not take the place of the one the caller is told. */
export function report(error: unknown, where: string): void {
  process.emitWarning(`${where}: ${String(error)}`, {
    code: 'SQLASSIST_SUPPRESSED_ERROR',
    detail: String((error as Error)?.stack ?? error),
  })
}
