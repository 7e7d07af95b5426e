import type { TransactionCore } from './transaction-core.ts'

/** Aborts a transaction, which has ended afterwards also if this throws. Waits for nothing where it calls nobody. */
export async function abort(core: TransactionCore): Promise<void> {
  // Aborting an aborted transaction is harmless: nobody is left to be called.
  if (core.status === 'Committed') core.assertNotEnded('abort')
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
    // Synchronizers find the manager without this transaction, but the data kept in the transaction still there.
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

  /** Makes this error the one to throw, unless there is one already. */
  keep(error: unknown, method: string, participant: object): void {
    if (this.#first === undefined) this.#first = { error }
    else this.#core.calls.suppress(error, method, participant)
  }

  /** Makes this error the one to throw, in place of an earlier one. */
  put(error: unknown): void {
    if (this.#first !== undefined) this.#core.calls.suppress(this.#first.error, 'abort')
    this.#first = { error }
  }

  throw(): void {
    if (this.#first !== undefined) throw this.#first.error
  }
}
