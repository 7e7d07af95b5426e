import process from 'node:process'

type Warning = Error & { readonly code?: string }

/** What a scenario may be meant to cause: a number where text belongs, an error in a transaction without a manager. */
export const expectedWarnings: readonly string[] = ['SQLASSIST_TEXT_EXPECTED', 'SQLASSIST_SUPPRESSED_ERROR']

/** Does something without printing warnings of those codes. Others are printed as ever. */
export async function withoutWarnings<T>(codes: readonly string[], work: () => Promise<T>): Promise<T> {
  const listeners = process.listeners('warning')
  const others = (warning: Warning): void => {
    if (!codes.includes(warning.code ?? '')) for (const listener of listeners) listener(warning)
  }
  process.removeAllListeners('warning')
  process.on('warning', others)
  try {
    return await work()
  } finally {
    // Warnings come a turn later.
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', others)
    for (const listener of listeners) process.on('warning', listener)
  }
}
