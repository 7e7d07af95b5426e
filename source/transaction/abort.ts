import type { TransactionCore } from './transaction-core.ts'

/** The abort of a transaction. Whatever is thrown on the way, it has ended. One that calls nobody waits for nothing. */
export async function abort(core: TransactionCore): Promise<void> {
  // Aborting what was aborted is harmless: there is nobody left to be told.
  if (core.status === 'Committed') core.refuseEnded('abort')
  const errors = new FirstError(core)
  try {
    const beforeHooks = core.hooksToRun('beforeAbort')
    if (beforeHooks !== undefined) await beforeHooks.round(core.calls, [], 'suppress')
    core.invalidateSavepoints()
    const before = core.synchronize('beforeCompletion')
    if (before !== undefined) await before.catch((error: unknown) => errors.put(error))
    if (core.resources.length > 0) {
      await core.abortResources((error, method, participant) => errors.keep(error, method, participant))
    }
    const afterHooks = core.afterHooks('afterAbort', [], 'throw')
    if (afterHooks !== undefined) await afterHooks
    // The synchronizers find the manager without this transaction, and what is kept in it for them still there.
    core.freeManager()
    const after = core.synchronize('afterCompletion')
    if (after !== undefined) await after
  } catch (error) {
    errors.put(error)
  }
  try {
    core.free()
  } catch (error) {
    errors.put(error)
  }
  errors.throw()
}

/** The error to throw at the end; all others are reported. */
class FirstError {
  readonly #core: TransactionCore
  #first: { readonly error: unknown } | undefined

  constructor(core: TransactionCore) {
    this.#core = core
  }

  /** The one to throw, unless there is one already. */
  keep(error: unknown, method: string, participant: object): void {
    if (this.#first === undefined) this.#first = { error }
    else this.#core.calls.suppress(error, method, participant)
  }

  /** The one to throw, whether or not there is one already. */
  put(error: unknown): void {
    if (this.#first !== undefined) this.#core.calls.suppress(this.#first.error, 'abort')
    this.#first = { error }
  }

  throw(): void {
    if (this.#first !== undefined) throw this.#first.error
  }
}
