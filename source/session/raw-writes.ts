export const RAW_WRITES = ['rollback', 'commit', 'error'] as const

/**
 * What becomes of raw SQL that wrote and that nobody declared by `markChanged`: it is rolled back with a warning that shows
 * the statement, committed, or refused with `UnmarkedWriteError`. Default: `'rollback'`, as zope.sqlalchemy does, silently.
 */
export type RawWrites = (typeof RAW_WRITES)[number]
