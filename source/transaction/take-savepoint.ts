import { rollbackChannel, traced } from './channels.ts'
import { TransactionSavepoint } from './savepoint.ts'
import type { TransactionCore } from './transaction-core.ts'
import { cleanUp } from './two-phase-commit.ts'

/** Makes a savepoint of everything that has joined by now. */
export async function takeSavepoint(core: TransactionCore, optimistic: boolean): Promise<TransactionSavepoint> {
  core.refuseEnded('savepoint')
  if (core.status === 'Commit failed') throw core.failedEarlier('savepoint')
  if (core.status === 'Committing' || core.status === 'Committed') {
    throw core.wrongState(
      'SQLASSIST_SAVEPOINT_STATUS',
      'savepoint',
      'there is no way back once a commit has begun its two phases',
    )
  }
  const savepoint = new TransactionSavepoint((made) =>
    traced(rollbackChannel, { transaction: core.transaction, savepoint: made }, () =>
      core.underWay.enter('rollback', false, () => rollBackTo(core, made)),
    ),
  )
  try {
    await core.savepoints.make(savepoint, [...core.resources], optimistic, core.calls)
  } catch (error) {
    await cleanUp(core.resources, core)
    core.fail(error)
    throw error
  }
  return savepoint
}

async function rollBackTo(core: TransactionCore, savepoint: TransactionSavepoint): Promise<void> {
  core.savepoints.invalidateAfter(savepoint)
  try {
    await savepoint.replay(core.calls)
  } catch (error) {
    core.fail(error)
    throw error
  }
}
