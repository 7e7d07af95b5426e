import { SqlassistError } from '../transaction/index.ts'

/**
 * Sessions committed one by one, and one of them failed. `committed` stay committed, `rolledBack` are lost; for `unknown` the
 * answer to COMMIT was lost. Thrown only if something is committed, or may be. `cause` is the error of the failed session.
 */
export class PartialCommitError extends SqlassistError {
  static {
    this.prototype.name = 'PartialCommitError'
  }
  override readonly code = 'SQLASSIST_PARTIAL_COMMIT'
  /** The roles whose sessions are committed and stay so. */
  readonly committed: readonly string[]
  /** The roles whose sessions were rolled back. Includes the failed role, unless its outcome is unknown. */
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

/** The roles by outcome. */
export interface PartialOutcome {
  readonly committed: readonly string[]
  readonly rolledBack: readonly string[]
  readonly unknown: readonly string[]
}

/** Returns a {@link PartialCommitError} where something is committed, or may be; else `cause`. */
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

function sentence(text: string): string {
  return text.endsWith('.') ? text : `${text}.`
}

function list(roles: readonly string[]): string {
  return roles.length === 0 ? 'none' : roles.map((role) => `"${role}"`).join(', ')
}
