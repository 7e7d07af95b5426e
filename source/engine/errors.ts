import { SqlassistError } from '../transaction/index.ts'

/** Engines or options that cannot work. Thrown at start-up; names the role or option, what was found and the fix. */
export class ConfigurationError extends SqlassistError {
  static {
    this.prototype.name = 'ConfigurationError'
  }
  override readonly code = 'SQLASSIST_CONFIGURATION'
}

/** A role was asked for that was never configured. */
export class UnknownRoleError extends SqlassistError {
  static {
    this.prototype.name = 'UnknownRoleError'
  }
  override readonly code = 'SQLASSIST_UNKNOWN_ROLE'

  constructor(role: unknown, known: Iterable<string>) {
    super(
      `There is no role "${String(role)}"; the roles are ${[...known].map((name) => `"${name}"`).join(', ')}. ` +
        `Use one of them, or add the role to the engines.`,
    )
  }
}

/** A request or a run would have started after the registry was told to close. */
export class RegistryClosedError extends SqlassistError {
  static {
    this.prototype.name = 'RegistryClosedError'
  }
  override readonly code = 'SQLASSIST_REGISTRY_CLOSED'
  /** A request gets 503: another server may take it. */
  readonly status = 503
  /** Koa shows the message to the client. */
  readonly expose = true

  constructor() {
    super('The database registry is closed or closing; nothing new can start. Start no work after registry.close().')
  }
}

/** A unit of work (a request, a run, an attempt at one) was used after it ended. */
export class UnitOfWorkEndedError extends SqlassistError {
  static {
    this.prototype.name = 'UnitOfWorkEndedError'
  }
  override readonly code = 'SQLASSIST_UNIT_OF_WORK_ENDED'
}

/** For code that goes on after the request, run or attempt that it was called in. */
export function askedTooLate(what: string): UnitOfWorkEndedError {
  return new UnitOfWorkEndedError(
    `${what} was asked for after its request or run had ended. Await everything before the handler returns; for work that ` +
      `outlives it use registry.run().`,
  )
}

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

/**
 * Sessions committed one by one, and one of them failed: `committed` stay committed, `rolledBack` are lost, and of `unknown` the
 * answer to COMMIT was lost. Thrown only where something is committed, or may be; `cause` is the error of the one that failed.
 */
export class PartialCommitError extends SqlassistError {
  static {
    this.prototype.name = 'PartialCommitError'
  }
  override readonly code = 'SQLASSIST_PARTIAL_COMMIT'
  /** The roles whose sessions are committed and stay so. */
  readonly committed: readonly string[]
  /** The roles whose sessions were rolled back, the failed one among them unless it is unknown. */
  readonly rolledBack: readonly string[]
  /** The roles whose COMMIT may have been carried out: the answer was lost. */
  readonly unknown: readonly string[]

  constructor(failed: string, { committed, rolledBack, unknown }: PartialOutcome, cause: unknown) {
    super(
      `The session of role "${failed}" could not commit: ${sentence((cause as Error)?.message ?? String(cause))} ` +
        `Committed and staying so: ${list(committed)}. Rolled back: ${list(rolledBack)}. ` +
        `Unknown, look there for what was written: ${list(unknown)}.`,
      { cause },
    )
    this.committed = committed
    this.rolledBack = rolledBack
    this.unknown = unknown
  }

  /** Why the same work cannot be done again. @internal */
  get obstacle(): string {
    return `it is committed in part (${list(this.committed)}; unknown: ${list(this.unknown)})`
  }
}

/** Which roles are committed, which are rolled back, and of which the one or the other is not known. */
export interface PartialOutcome {
  readonly committed: readonly string[]
  readonly rolledBack: readonly string[]
  readonly unknown: readonly string[]
}

/** The error of a commit one by one that `cause` ended: a {@link PartialCommitError} where something may be committed. */
export function commitError(failed: string, outcome: PartialOutcome, cause: unknown): unknown {
  const isPartial = outcome.committed.length > 0 || outcome.unknown.length > 0
  return isPartial ? new PartialCommitError(failed, outcome, cause) : cause
}

/** Several databases changed that cannot commit as one, and the registry has `atomic: 'required'`. Nothing was committed. */
export class NotAtomicError extends SqlassistError {
  static {
    this.prototype.name = 'NotAtomicError'
  }
  override readonly code = 'SQLASSIST_NOT_ATOMIC'

  constructor(reasons: readonly string[]) {
    super(
      `Nothing was committed: more than one of the changed databases cannot prepare a transaction, and atomic is ` +
        `"required". ${reasons.join(' ')} Let one of them have commit: 'autonomous', or change them in transactions of their own.`,
    )
  }
}

/** The transaction no longer waited for its sessions' vote, so they did not commit. Reported, not thrown. */
export class CommitGivenUpError extends SqlassistError {
  static {
    this.prototype.name = 'CommitGivenUpError'
  }
  override readonly code = 'SQLASSIST_COMMIT_GIVEN_UP'

  constructor() {
    super('The transaction was given up while its sessions were being prepared; nothing was committed.')
  }
}

/** An error worth retrying came, and the request could not be run again. `cause` is that error. */
export class NotRetriedError extends SqlassistError {
  static {
    this.prototype.name = 'NotRetriedError'
  }
  override readonly code = 'SQLASSIST_NOT_RETRIED'

  constructor(reason: string, cause: unknown) {
    super(`${(cause as Error)?.message ?? String(cause)} — this is worth another try, but ${reason}.`, { cause })
  }
}

function sentence(text: string): string {
  return text.endsWith('.') ? text : `${text}.`
}

function list(roles: readonly string[]): string {
  return roles.length === 0 ? 'none' : roles.map((role) => `"${role}"`).join(', ')
}
