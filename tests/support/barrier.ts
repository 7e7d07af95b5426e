/** A place where each waits until `count` have come. */
export function barrier(count: number): () => Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  let here = 0
  return () => {
    here++
    if (here === count) resolve()
    return promise
  }
}
