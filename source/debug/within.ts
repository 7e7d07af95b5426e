/** What `work` gives, or `otherwise` when that takes longer than this; it goes on then, and nobody sees what comes of it. */
export async function within<T, Else>(timeoutMs: number, work: Promise<T>, otherwise: Else): Promise<T | Else> {
  const { promise: late, resolve } = Promise.withResolvers<Else>()
  const timer = setTimeout(() => resolve(otherwise), timeoutMs)
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
