import { STATUS_CODES } from 'node:http'
import { ForeignKeyConstraintViolationException, UniqueConstraintViolationException } from '@mikro-orm/core'
import { CommitOutcomeUnknownError, isRetryable } from 'koa-sqlassist'
import { ApiError, invalid, notFound } from './api-error.ts'

/** What the client is told of any error. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  return databaseError(error) ?? requestError(error) ?? new ApiError(500, { server: ['failed'] }, { cause: error })
}

/**
 * What only the database can know for certain: two requests may take one name at the same moment, or an article may go
 * while it is being commented. The error may come from a flush in the route as well as from the commit at the end.
 */
function databaseError(error: unknown): ApiError | undefined {
  for (const cause of causes(error)) {
    if (cause instanceof UniqueConstraintViolationException) {
      return invalid({ [uniqueField(cause)]: ['has already been taken'] }, { cause: error })
    }
    if (isRetryable(cause)) return new ApiError(503, { server: ['is busy'] }, { cause: error })
    if (cause instanceof CommitOutcomeUnknownError) {
      return new ApiError(500, { server: ['cannot tell whether it was done'] }, { cause: error })
    }
    if (cause instanceof ForeignKeyConstraintViolationException) return notFound('article', { cause: error })
  }
  return undefined
}

/** PostgreSQL names the constraint (`uq_users_email`), SQLite the column (`users.email`). */
function uniqueField(error: UniqueConstraintViolationException & { constraint?: string }): string {
  const name = error.constraint ?? error.message
  return /^uq_[a-z]+_([a-z]+)$/.exec(name)?.[1] ?? /UNIQUE constraint failed: \w+\.(\w+)$/.exec(name)?.[1] ?? 'body'
}

/**
 * The errors of Koa and its body parser carry the status that the request deserves; but what cannot be read is to the
 * specification as good as what cannot be used.
 */
function requestError(error: unknown): ApiError | undefined {
  const { status } = error as { status?: unknown }
  if (typeof status !== 'number' || status < 400 || status >= 500) return undefined
  if (status === 400) return invalid({ body: ['cannot be read'] }, { cause: error })
  return new ApiError(status, { request: [STATUS_CODES[status]?.toLowerCase() ?? 'failed'] }, { cause: error })
}

function* causes(error: unknown): Generator {
  for (let cause = error; cause instanceof Error; cause = cause.cause) yield cause
}
