import { QueryArgumentError } from './errors.ts'

/** A page of the rows found. */
export interface Page {
  /** How many rows to leave out first: a whole number from 0. Default 0. */
  readonly offset?: number | undefined
  /** How many rows at most: a whole number from 0. Default: all. */
  readonly limit?: number | undefined
}

/**
 * Returns the page as MikroORM's find options.
 * @throws QueryArgumentError for anything but whole numbers from 0
 */
export function pageOf({ offset = 0, limit }: Page): { offset?: number; limit?: number } {
  assertCount('offset', offset)
  if (limit !== undefined) assertCount('limit', limit)
  if (offset === 0) return limit === undefined ? {} : { limit }
  // SQLite has no offset without a limit.
  return { offset, limit: limit ?? Number.MAX_SAFE_INTEGER }
}

function assertCount(argument: string, given: unknown): void {
  if (!Number.isSafeInteger(given) || (given as number) < 0) {
    throw new QueryArgumentError(argument, 'a whole number from 0', given)
  }
}
