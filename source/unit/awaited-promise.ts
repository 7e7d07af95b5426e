/** A promise that knows whether anybody waits for its result, as far as `then` shows. */
export class AwaitedPromise<T> extends Promise<T> {
  #isAwaited = false
  /** Those that follow it and its result, such as of `catch`. */
  #followers: AwaitedPromise<unknown>[] | undefined

  /** A promise for what `work` returns, which is given a question for `isAwaited`. */
  static of<T>(work: (isAwaited: () => boolean) => Promise<T>): Promise<T> {
    const { promise, resolve } = AwaitedPromise.withResolvers<T>()
    resolve(work(() => (promise as AwaitedPromise<T>).isAwaited))
    return promise
  }

  get isAwaited(): boolean {
    return this.#isAwaited || this.#followers?.some((follower) => follower.isAwaited) === true
  }

  // oxlint-disable-next-line unicorn/no-thenable -- A promise has one.
  override then<R = T, E = never>(
    fulfilled?: ((value: T) => R | PromiseLike<R>) | null,
    rejected?: ((reason: any) => E | PromiseLike<E>) | null,
  ): Promise<R | E> {
    const follower = super.then(fulfilled, rejected)
    if (typeof fulfilled === 'function') this.#isAwaited = true
    else (this.#followers ??= []).push(follower as AwaitedPromise<R | E>)
    return follower
  }
}
