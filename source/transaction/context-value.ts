import { AsyncLocalStorage } from 'node:async_hooks'

/** What the running code can be in. */
const PLACES = ['unit', 'operation', 'activity', 'turn', 'nested', 'subscriber', 'connecting', 'taking'] as const
const NOTHING: readonly unknown[] = PLACES.map(() => undefined)

/**
 * One storage for all of them: each time that one storage is set, Node copies what every other holds.
 * https://github.com/nodejs/node/blob/v24.11.1/lib/internal/async_context_frame.js
 */
const storage = new AsyncLocalStorage<readonly unknown[]>()

/** A value that the running code was called with, and that what it calls is called with as well. */
export class ContextValue<T> {
  readonly #place: number

  constructor(place: (typeof PLACES)[number]) {
    this.#place = PLACES.indexOf(place)
  }

  get(): T | undefined {
    return storage.getStore()?.[this.#place] as T | undefined
  }

  /** Does `work` with it; undefined: without any. */
  run<R>(value: T | undefined, work: () => R): R {
    if (this.get() === value) return work()
    const values = (storage.getStore() ?? NOTHING).slice()
    values[this.#place] = value
    return storage.run(values, work)
  }
}
