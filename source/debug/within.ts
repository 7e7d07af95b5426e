/** Returns the result of `work`, or `otherwise` after `timeoutMs`; `work` then goes on, and its result is dropped. */
export async function within<T, Else>(timeoutMs: number, work: Promise<T>, otherwise: Else): Promise<T | Else> {
  const { promise: late, resolve } = Promise.withResolvers<Else>()
  const timer = setTimeout(() => resolve(otherwise), timeoutMs)
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
