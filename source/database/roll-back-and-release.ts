import { warn } from '../transaction/warnings.ts'
import type { DatabaseConnection, Doubt } from './database.ts'
import { ConnectionLostError } from './errors.ts'

/** Rolls back, asking what is in `doubt`, and gives the connection back. One that cannot is closed; that never fails. */
export async function rollBackAndRelease(connection: DatabaseConnection, doubt?: Doubt): Promise<void> {
  try {
    await connection.rollback(doubt)
  } catch (error) {
    // The database rolls back when its connection goes.
    await connection.release(true)
    if (error instanceof ConnectionLostError) return
    warn(`ROLLBACK failed and its connection was closed instead: ${String(error)}`, {
      code: 'SQLASSIST_ROLLBACK_FAILED',
      error,
    })
    return
  }
  await connection.release()
}
