import { SqlassistError } from '../transaction/index.ts'

/** A resource tried to join while transactions are disabled, where nothing could commit it together with the sessions. */
export class TransactionsDisabledError extends SqlassistError {
  static {
    this.prototype.name = 'TransactionsDisabledError'
  }
  override readonly code = 'SQLASSIST_TRANSACTIONS_DISABLED'

  constructor() {
    super(
      'Transactions are disabled (SQLASSIST_DISABLE_TRANSACTION or the option disableTransaction), so no resource can ' +
        'join one. Unset it, or do the work of this resource by itself.',
    )
  }
}

/** An attempt ended with an error worth retrying, and there is no other one, or that one read the request once more. `cause` is the error. */
export class NotRetriedError extends SqlassistError {
  static {
    this.prototype.name = 'NotRetriedError'
  }
  override readonly code = 'SQLASSIST_NOT_RETRIED'

  constructor(reason: string, cause: unknown) {
    super(`${(cause as Error)?.message ?? String(cause)} — this is worth another try, but ${reason}.`, { cause })
  }
}

/** The option `after` of a run is no position of this registry's roles. Nothing was run. */
export class InvalidPositionError extends SqlassistError {
  static {
    this.prototype.name = 'InvalidPositionError'
  }
  override readonly code = 'SQLASSIST_INVALID_POSITION'

  constructor(given: unknown, roles: readonly string[]) {
    super(
      `after is ${typeof given === 'string' ? JSON.stringify(given.slice(0, 100)) : `a ${typeof given}`}, which is no position of ` +
        `the roles ${roles.join(', ')}. Give what positionOf(dbSession) has returned, or leave it out where that is undefined.`,
    )
  }
}
