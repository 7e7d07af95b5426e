import { SqlassistError } from '../transaction/index.ts'

/** How a client went away. */
interface Disconnected {
  /** The error of the handler. */
  readonly cause?: unknown
  /** Whether the handler had committed before. */
  readonly hasCommitted?: boolean
}

/** A middleware above answered without waiting for the handler; what the handler did was aborted. Reported, not thrown. */
export class AnsweredTooEarlyError extends SqlassistError {
  static {
    this.prototype.name = 'AnsweredTooEarlyError'
  }
  override readonly code = 'SQLASSIST_ANSWERED_TOO_EARLY'

  constructor(method: string, path: string) {
    super(
      `The response to ${method} ${path} was sent before the handler was done, so its transaction was aborted. ` +
        `A middleware above dbSessions calls next() without awaiting or returning it, or races it against a timeout: ` +
        `write "await next()". Or the handler answers by ctx.res itself: let it say ctx.respond = false.`,
    )
  }
}

/**
 * The client went away before the commit began. Everything was aborted, except what the handler itself had committed.
 * `cause` is the error of the handler, if it threw.
 */
export class ClientDisconnectedError extends SqlassistError {
  static {
    this.prototype.name = 'ClientDisconnectedError'
  }
  override readonly code = 'SQLASSIST_CLIENT_DISCONNECTED'
  /** nginx's status for a closed request; no client gets it. */
  readonly status = 499
  /** Koa's own error handler prints nothing of an exposed error. */
  readonly expose = true

  constructor(method: string, path: string, { cause, hasCommitted }: Disconnected = {}) {
    const what =
      hasCommitted === true
        ? 'went away after the handler had committed: that stays, and nothing else was stored'
        : 'went away before the commit, so its transaction was aborted'
    super(`The client of ${method} ${path} ${what}. abortOnDisconnect: false lets such requests finish.`, { cause })
  }
}
