import type { UnitOfWork } from './unit-of-work.ts'

/** Work that a signal aborts, in each of its attempts. Keeps what the work itself threw as the cause of the signal's reason. */
export class AbortableWork {
  readonly #signal: AbortSignal
  /** What the last attempt threw. */
  #failure: { readonly error: unknown } | undefined

  constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  /** Does `work` in `unit`, which is cancelled when the signal is aborted. @throws the signal's reason then */
  async in<T>(unit: UnitOfWork, work: () => Promise<T>): Promise<T> {
    const signal = this.#signal
    if (signal.aborted) throw this.#reason()
    const cancel = (): void => unit.cancel(signal.reason as Error)
    signal.addEventListener('abort', cancel, { once: true })
    let result: T
    try {
      result = await work()
    } catch (error) {
      this.#failure = { error }
      throw signal.aborted ? this.#reason() : error
    } finally {
      signal.removeEventListener('abort', cancel)
    }
    if (signal.aborted) throw this.#reason()
    return result
  }

  #reason(): unknown {
    const reason: unknown = this.#signal.reason
    return this.#failure === undefined ? reason : causedBy(reason, this.#failure.error)
  }
}

/** The reason itself, with `error` as its cause; another like it where it has a cause, or is one itself. */
function causedBy(reason: unknown, error: unknown): unknown {
  if (reason === error) return reason
  if (typeof reason !== 'object' || reason === null) return new Error(String(reason), { cause: error })
  const cause = { value: error, configurable: true, writable: true }
  const isFree = Object.isExtensible(reason) && !('cause' in reason) && !isCauseOf(reason, error)
  return isFree ? Object.defineProperty(reason, 'cause', cause) : Object.create(reason, { cause })
}

function isCauseOf(reason: object, error: unknown): boolean {
  const { cause } = (error ?? {}) as { readonly cause?: unknown }
  return cause !== undefined && (cause === reason || isCauseOf(reason, cause))
}
