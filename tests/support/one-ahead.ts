/**
 * The outcome of each of `works`, by its number. When one is asked for, the next is on its way as well: one process leaves
 * half of the machine idle.
 */
export function oneAhead<T>(works: readonly (() => Promise<T>)[]): (index: number) => Promise<T> {
  const started: (Promise<T> | undefined)[] = []
  const start = (index: number): Promise<T> | undefined => {
    const begun = (started[index] ??= works[index]?.())
    // Who asks for it gets its error.
    begun?.catch(() => undefined)
    return begun
  }
  return async (index) => {
    const begun = start(index)
    void start(index + 1)
    if (begun === undefined) throw new RangeError(`there is no work ${index}`)
    return await begun
  }
}
