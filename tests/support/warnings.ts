import { once } from 'node:events'
import process from 'node:process'

export type Warning = Error & { readonly code?: string; readonly detail?: string }

/** The process warnings with that code that `work` caused. */
export async function warnings(code: string, work: () => Promise<void>): Promise<Warning[]> {
  const seen: Warning[] = []
  const note = (warning: Warning): void => {
    if (warning.code === code) seen.push(warning)
  }
  process.on('warning', note)
  try {
    await work()
    // Warnings are emitted a turn later; this one comes after all of them.
    const last = once(process, 'warning')
    process.emitWarning('all warnings are out', { code: 'TESTS_LAST_WARNING' })
    await last
  } finally {
    process.off('warning', note)
  }
  return seen
}
