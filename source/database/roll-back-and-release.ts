import { warn } from '../transaction/warnings.ts'
import type { DatabaseLink } from './database.ts'
import { ConnectionLostError } from './errors.ts'

/** Rolls back and gives the connection back. One that cannot is closed; that never fails. */
export async function rollBackAndRelease(link: DatabaseLink): Promise<void> {
  try {
    await link.rollback()
  } catch (error) {
    // The database rolls back by itself when its connection goes.
    await link.release(true)
    if (error instanceof ConnectionLostError) return
    warn(`ROLLBACK failed and its connection was closed instead: ${String(error)}`, {
      code: 'SQLASSIST_ROLLBACK_FAILED',
      error,
    })
    return
  }
  await link.release()
}
