import { SqlassistError } from '../transaction/index.ts'

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

/**
 * `registry.close()` waited as long as it may, and something was still open, which the message names. Its connections were
 * closed all the same, so that what it had not committed is rolled back.
 */
export class RegistryCloseTimeoutError extends SqlassistError {
  static {
    this.prototype.name = 'RegistryCloseTimeoutError'
  }
  override readonly code = 'SQLASSIST_CLOSE_TIMEOUT'

  constructor(limitMs: number, open: readonly string[]) {
    super(
      `registry.close() waited ${limitMs} ms, and still open were: ${open.join(', ') || 'the pools'}. Their connections were ` +
        `closed, which rolls back what they had not committed. End units of work and streams before, close every ` +
        `registry.session(), or raise closeTimeoutMs.`,
    )
  }
}

/**
 * A request or a run would have started after `registry.close()`, or a session would have begun something when its ORM was
 * closed. Nothing was sent.
 */
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
