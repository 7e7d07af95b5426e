import { SqlassistError } from '../../transaction/index.ts'

/** A statement was sent while no test is begun: it would stay in the database. Nothing was sent. */
export class SandboxNotBegunError extends SqlassistError {
  static {
    this.prototype.name = 'SandboxNotBegunError'
  }
  override readonly code = 'SQLASSIST_SANDBOX_NOT_BEGUN'

  constructor(role: string) {
    super(
      `The role "${role}" was used while no test is begun, and would write to the database for good. ` +
        `Call "await sandbox.begin()" before each test and "await sandbox.rollback()" after it; await everything in the test.`,
    )
  }
}

/** A request or run waited for another one of the same test, which has the database. Nothing was sent. */
export class SandboxBusyError extends SqlassistError {
  static {
    this.prototype.name = 'SandboxBusyError'
  }
  override readonly code = 'SQLASSIST_SANDBOX_BUSY'

  constructor(waiting: string, holder: string, { waitMs, heldMs, sql }: BusyDetails) {
    super(
      `${waiting} waited ${waitMs} ms for the sandbox, which ${holder} has had for ${heldMs} ms` +
        `${sql === undefined ? '' : `, at last with "${sql}"`}. In a sandbox one transaction waits for the end of another: a ` +
        `handler that sends a request to its own server while its transaction is open waits for itself. ` +
        `Commit before that, use freshDatabase() for this test, or raise waitMs.`,
    )
  }
}

/** What is known of a wait. */
interface BusyDetails {
  readonly waitMs: number
  readonly heldMs: number
  readonly sql: string | undefined
}

/** An ORM was used outside of any request or run, past the sandbox. Nothing was sent. */
export class SandboxEscapeError extends SqlassistError {
  static {
    this.prototype.name = 'SandboxEscapeError'
  }
  override readonly code = 'SQLASSIST_SANDBOX_ESCAPE'

  constructor(role: string) {
    super(
      `The ORM of role "${role}" was used outside of any request or run, over a connection of its own: what it writes would ` +
        `stay, and it would not see what the test has written. Use "await registry.run(({ dbSession }) => …)" or ` +
        `registry.session("${role}") for fixtures and assertions, and set up the schema before createSandbox(); or give ` +
        `createSandbox(registry, { escapes: 'allow' }).`,
    )
  }
}

/** What other transactions have done could not be done again after a rollback beneath it. */
export class SandboxReplayError extends SqlassistError {
  static {
    this.prototype.name = 'SandboxReplayError'
  }
  override readonly code = 'SQLASSIST_SANDBOX_REPLAY'

  constructor(role: string, sql: string, cause: Error | undefined) {
    super(
      `A transaction was rolled back that another one of role "${role}" overlaps, and the sandbox could not do the other ` +
        `one's work again: "${sql}" ${cause === undefined ? 'gave another result than before' : `failed (${cause.message})`}. ` +
        `Use freshDatabase() for this test.`,
      { cause },
    )
  }
}

/** Something of a test was still under way as the test was rolled back. It was rolled back all the same. */
export class SandboxLeakError extends SqlassistError {
  static {
    this.prototype.name = 'SandboxLeakError'
  }
  override readonly code = 'SQLASSIST_SANDBOX_LEAK'

  constructor(open: readonly string[], waitMs: number) {
    super(
      `${open.join(', ')} ${open.length === 1 ? 'was' : 'were'} still open ${waitMs} ms after sandbox.rollback() was called, and ` +
        `${open.length === 1 ? 'is' : 'are'} rolled back. Await every request, run and session in its test.`,
    )
  }
}

/** The connection of a sandbox is gone, and the rows of the test with it. The next `begin()` opens another. */
export class SandboxLostError extends SqlassistError {
  static {
    this.prototype.name = 'SandboxLostError'
  }
  override readonly code = 'SQLASSIST_SANDBOX_LOST'

  constructor(role: string, cause: unknown) {
    super(
      `The transaction that holds this test's rows is gone, with its connection or by a statement that ended it ` +
        `(${String(cause)}), noticed by the role "${role}". Use freshDatabase() for what ends transactions.`,
      { cause },
    )
  }
}

/** A read-only role would read what nobody has committed. Nothing was sent. */
export class SandboxReadAheadError extends SqlassistError {
  static {
    this.prototype.name = 'SandboxReadAheadError'
  }
  override readonly code = 'SQLASSIST_SANDBOX_READ_AHEAD'

  constructor(reader: string, writer: string) {
    super(
      `The role "${reader}" reads while the role "${writer}" of the same request or run has written and not committed. In a sandbox ` +
        `it sees that; in production it does not. Read through "${writer}", or commit first; or give createSandbox(registry, ` +
        `{ readAhead: 'allow' }).`,
    )
  }
}
