export const RAW_WRITES = ['rollback', 'commit', 'error'] as const

/**
 * What becomes of raw SQL that wrote and that nobody declared by `markChanged`. `'rollback'` undoes it with a warning
 * that shows the statement, `'commit'` commits it, and `'error'` refuses it with `UnmarkedWriteError`. Default:
 * `'rollback'`. zope.sqlalchemy rolls back too, but silently.
 */
export type RawWrites = (typeof RAW_WRITES)[number]
