import { SqlassistError } from '../transaction/index.ts'

/** A session was used after it ended; the message says which role it was and what ended it. */
export class SessionEndedError extends SqlassistError {
  static {
    this.prototype.name = 'SessionEndedError'
  }
  override readonly code = 'SQLASSIST_SESSION_ENDED'

  constructor(role: string, ending: string) {
    super(
      `The session of role "${role}" was used after it ended (${ending}). Await everything that uses a session before ` +
        `the handler returns; a streamed body has to read from a read-only role; for work that outlives the request ` +
        `open a unit of its own with registry.run().`,
    )
  }
}

/**
 * A statement through a read-only role would have written, or had an effect beyond reading. Nothing was sent, or PostgreSQL
 * refused it, whose error is `cause`. Nothing is stored.
 */
export class ReadOnlySessionError extends SqlassistError {
  static {
    this.prototype.name = 'ReadOnlySessionError'
  }
  override readonly code = 'SQLASSIST_READ_ONLY_SESSION'

  constructor(
    role: string,
    what: string,
    { fix, cause }: { readonly fix?: string | undefined; readonly cause?: unknown } = {},
  ) {
    super(
      `The role "${role}" is read only, and ${what}. ` +
        (fix ?? `Use a role that writes, such as ctx.dbSession.writer, or configure the role without readOnly.`),
      cause === undefined ? undefined : { cause },
    )
  }
}

/**
 * `em.begin()`, `em.commit()` or a statement that does the same was called on a session the transaction manager owns; or such a
 * statement in a transaction, or on SQLite, where every flush commits.
 */
export class ManagedSessionError extends SqlassistError {
  static {
    this.prototype.name = 'ManagedSessionError'
  }
  override readonly code = 'SQLASSIST_MANAGED_SESSION'

  /** `commitsAtOnce`: it is one where every flush and statement commits. */
  constructor(role: string, what: string, commitsAtOnce = false) {
    const fix = commitsAtOnce
      ? `where every flush and statement commits. Use em.transactional(), or em.begin() with em.commit() or em.rollback().`
      : `whose transaction belongs to the transaction manager. Leave it to the end of the request, or call ` +
        `ctx.txn.commit() or ctx.txn.abort(); em.transactional() nests by savepoint.`
    super(`${what} was called on the session of role "${role}", ${fix}`)
  }
}

/** Raw SQL wrote and nobody declared it, in a role with `rawWrites: 'error'`. Nothing was committed. */
export class UnmarkedWriteError extends SqlassistError {
  static {
    this.prototype.name = 'UnmarkedWriteError'
  }
  override readonly code = 'SQLASSIST_UNMARKED_WRITE'

  constructor(role: string, statements: readonly string[]) {
    super(
      `Raw SQL of role "${role}" wrote and the session was not marked as changed: ${statements.join('; ')} — ` +
        `call markChanged(em) or ctx.dbSession.markChanged('${role}') beside it.`,
    )
  }
}

/** Something failed after this session had committed: the transaction is half done. Reported, or thrown where nothing failed before. */
export class CommittedTooEarlyError extends SqlassistError {
  static {
    this.prototype.name = 'CommittedTooEarlyError'
  }
  override readonly code = 'SQLASSIST_COMMITTED_TOO_EARLY'

  constructor(role: string, cause?: unknown) {
    super(`The session of role "${role}" had committed already when something later failed; what it wrote stays.`, {
      cause,
    })
  }
}

/** An entity manager was handed over that is no session of this library. */
export class NotASessionError extends SqlassistError {
  static {
    this.prototype.name = 'NotASessionError'
  }
  override readonly code = 'SQLASSIST_NOT_A_SESSION'

  constructor() {
    super(
      'This entity manager is no session: it was forked by hand, or it is a global orm.em outside any request or run. ' +
        'Use ctx.dbSession.<role>, or the dbSession of registry.run().',
    )
  }
}

/** Something would have run on a connection of its own, outside the transaction of its request or run. Nothing was sent. */
export class OutsideTransactionError extends SqlassistError {
  static {
    this.prototype.name = 'OutsideTransactionError'
  }
  override readonly code = 'SQLASSIST_OUTSIDE_TRANSACTION'

  constructor(role: string, what: string, fix?: string) {
    super(
      `${what} would leave the transaction of role "${role}". ` +
        (fix ??
          `Use the session itself (ctx.dbSession.${role}), em.transactional() to nest by savepoint, or registry.run() ` +
            `for a transaction of its own: on SQLite once this one has ended, elsewhere where the pool has a connection left.`),
    )
  }
}

/** An entity of one session was handed to another, and both would write it. */
export class ForeignEntityError extends SqlassistError {
  static {
    this.prototype.name = 'ForeignEntityError'
  }
  override readonly code = 'SQLASSIST_FOREIGN_ENTITY'

  constructor(entity: string, owner: string, role: string, call: string) {
    super(
      `${call} of role "${role}" was given an entity ${entity} that the session of role "${owner}" manages. ` +
        `Copy it with copyTo(entity, session); the copy is managed by that session alone.`,
    )
  }
}

/** A read-only role without a transaction was given variables or a role of row level security, which need one. */
export class SessionContextError extends SqlassistError {
  static {
    this.prototype.name = 'SessionContextError'
  }
  override readonly code = 'SQLASSIST_SESSION_CONTEXT'

  constructor(role: string) {
    super(
      `The role "${role}" has a session context (row level security) and readOnly: true, whose statements run without ` +
        `the transaction that it is set for. Use readOnly: 'snapshot'.`,
    )
  }
}

/**
 * A statement of an outer level ran while `em.transactional()` was under way beside it, and was undone when that failed.
 * `cause` of the error that keeps the session from being committed.
 */
export class UndoneFromOutsideError extends SqlassistError {
  static {
    this.prototype.name = 'UndoneFromOutsideError'
  }
  override readonly code = 'SQLASSIST_UNDONE_FROM_OUTSIDE'

  constructor(role: string) {
    super(
      `Something was written through the session of role "${role}" while em.transactional() was under way beside it, and was ` +
        `undone when that one failed, though it had been answered as done. Await em.transactional() before you write ` +
        `outside of it.`,
    )
  }
}

/** `em.commit()`, or a flush of a role that commits every flush, has failed: what the session knows is not what is stored. */
export class SessionFailedError extends SqlassistError {
  static {
    this.prototype.name = 'SessionFailedError'
  }
  override readonly code = 'SQLASSIST_SESSION_FAILED'

  constructor(role: string, cause: unknown) {
    super(
      `The session of role "${role}" failed to commit, so that nothing of it is stored since its last commit: ` +
        `${(cause as Error)?.message ?? String(cause)} — call await em.rollback() to go on, and do the work again.`,
      { cause },
    )
  }
}

/**
 * Flushing went on and on. In each round a hook, a subscriber or a data manager made more changes, or code that nobody
 * awaits sent more statements. Nothing was committed.
 */
export class EndlessFlushError extends SqlassistError {
  static {
    this.prototype.name = 'EndlessFlushError'
  }
  override readonly code = 'SQLASSIST_ENDLESS_FLUSH'

  constructor(roles: readonly string[], rounds: number) {
    super(
      `After ${rounds} rounds of waiting and flushing, the sessions of ${roles.map((role) => `"${role}"`).join(' and ')} ` +
        `still have something to do, and nothing was committed. A subscriber creates something in every flush: let it ` +
        `leave alone what it made itself. Or code that nobody awaits goes on and on: await it before the end.`,
    )
  }
}
