import { SqlassistError } from '../transaction/index.ts'

/** Two roles of one request would have waited for each other for ever: they share the one write lock of a SQLite file. */
export class SharedFileError extends SqlassistError {
  static {
    this.prototype.name = 'SharedFileError'
  }
  override readonly code = 'SQLASSIST_SHARED_FILE'

  constructor(role: string, holder: string) {
    super(
      `The role "${role}" would wait for itself: the role "${holder}" has a transaction open on the same SQLite file, ` +
        `which has one write lock. Give each a file of its own, or let "${role}" wait with its flush until the end.`,
    )
  }
}

/** A statement would wait for a stream of its own request or run, which waits for the statement. Nothing was sent. */
export class StreamUnderWayError extends SqlassistError {
  static {
    this.prototype.name = 'StreamUnderWayError'
  }
  override readonly code = 'SQLASSIST_STREAM_UNDER_WAY'

  constructor(role: string) {
    super(
      `A statement of the role "${role}" would wait for ever: a stream of the same request or run is under way, and the ` +
        `pool has no other connection. Collect the rows first (await em.find()), stream from a role with ` +
        `readOnly: 'snapshot', or raise the pool's max.`,
    )
  }
}

/** Engines or options that cannot work. Thrown at start-up; names the role or option, the value found and the fix. */
export class ConfigurationError extends SqlassistError {
  static {
    this.prototype.name = 'ConfigurationError'
  }
  override readonly code = 'SQLASSIST_CONFIGURATION'
}

/** A unit of work (a request, a run, an attempt at one) was used after it ended. */
export class UnitOfWorkEndedError extends SqlassistError {
  static {
    this.prototype.name = 'UnitOfWorkEndedError'
  }
  override readonly code = 'SQLASSIST_UNIT_OF_WORK_ENDED'
}

/** The error for code that goes on after the request, run or attempt that it was called in. */
export function askedTooLate(what: string): UnitOfWorkEndedError {
  return new UnitOfWorkEndedError(
    `${what} was asked for after its request or run had ended. Await everything before the handler returns; for work that ` +
      `outlives it use registry.run().`,
  )
}
