import { setImmediate as turn } from 'node:timers/promises'
import { SessionEndedError, SessionFailedError } from './errors.ts'

type State =
  | { readonly is: 'usable' }
  | { readonly is: 'failed' | 'cancelled'; readonly error: Error }
  | { readonly is: 'ended'; readonly ending: string }

const USABLE: State = { is: 'usable' }

/**
 * Whether a session can be used.
 *
 * `usable` <-> `failed`, out of which only a rollback leads; both -> `cancelled`, which the unit still has to end; all of
 * them -> `ended`.
 */
export class SessionLife {
  readonly #role: string
  #state = USABLE
  /** Called with the error of a use after the end. */
  onLateUse: ((error: Error) => void) | undefined

  constructor(role: string) {
    this.#role = role
  }

  get ended(): boolean {
    return this.#state.is === 'ended'
  }

  get hasFailed(): boolean {
    return this.#state.is === 'failed'
  }

  /** @throws SessionEndedError where it has ended or is `sealed`, SessionFailedError, or why it was cancelled */
  assertUsable(sealed: boolean): void {
    const state = this.#state
    if (state.is === 'failed' || state.is === 'cancelled') throw state.error
    if (state.is === 'usable' && !sealed) return
    throw this.noteLateUse(this.tooLate())
  }

  /** @throws SessionFailedError where only a rollback is left */
  assertNotFailed(): void {
    if (this.#state.is === 'failed') throw this.#state.error
  }

  /** Hands the error of a late use on, and returns it. */
  noteLateUse(error: Error): Error {
    this.onLateUse?.(error)
    return error
  }

  /** From here on it can only be rolled back. Whether it was usable until now. */
  fail(error: unknown): boolean {
    if (this.#state.is !== 'usable') return false
    this.#state = { is: 'failed', error: new SessionFailedError(this.#role, error) }
    return true
  }

  /** Makes a failed one usable: it was rolled back. */
  recover(): void {
    if (this.#state.is === 'failed') this.#state = USABLE
  }

  /** From here on every use throws `error`. */
  cancel(error: Error): void {
    if (this.#state.is !== 'ended') this.#state = { is: 'cancelled', error }
  }

  end(ending: string): void {
    this.#state = { is: 'ended', ending }
  }

  tooLate(): SessionEndedError {
    const ending = this.#state.is === 'ended' ? this.#state.ending : 'its database transaction is over'
    return new SessionEndedError(this.#role, ending)
  }

  /** For the rows of a stream that comes too late. */
  async refuseRows(): Promise<never> {
    const error = this.#state.is === 'cancelled' ? this.#state.error : this.tooLate()
    if (this.onLateUse === undefined) throw error
    this.onLateUse(error)
    // What the rows are piped through is destroyed meanwhile, from its end to them.
    await turn()
    throw error
  }
}
