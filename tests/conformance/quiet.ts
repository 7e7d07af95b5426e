import process from 'node:process'

type Warning = Error & { readonly code?: string }

/** Does something without printing warnings of that code, which a scenario may be meant to cause. Others are printed as ever. */
export async function withoutWarnings<T>(code: string, work: () => Promise<T>): Promise<T> {
  const listeners = process.listeners('warning')
  const others = (warning: Warning): void => {
    if (warning.code !== code) for (const listener of listeners) listener(warning)
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
