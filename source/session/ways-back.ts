import type { DataManagerSavepoint } from '../transaction/index.ts'
import { holdingFlushes } from './flush-in-turn.ts'
import type { OwnCommits } from './own-commits.ts'
import { Rounds } from './rounds.ts'
import type { SessionCore } from './session-core.ts'
import { savepointIsGone, type SessionSavepoints } from './session-savepoints.ts'
import type { SessionStatements } from './session-statements.ts'

/** A session of which the present state is remembered. */
export interface Rememberable {
  readonly core: SessionCore
  readonly statements: SessionStatements
  readonly commits: OwnCommits
  /** What it remembers for its savepoints. */
  remembering(): SessionSavepoints
}

/**
 * Remembers the present state as something to go back to. Flushes, and sends a savepoint. Where nothing was sent yet,
 * it sends none, and going back sends nothing either.
 * @throws NestedTransactionOpenError inside em.transactional(), also from the rollback; TransactionAbortedError; what
 *   the flush throws
 */
export async function savepoint(session: Rememberable): Promise<DataManagerSavepoint> {
  const { core, statements } = session
  const rounds = new Rounds(core.role)
  do {
    rounds.next()
    await core.idle()
    await core.transaction.assertCommittable()
    await core.em.flush()
  } while (!core.isIdle)
  statements.refuseNested('txn.savepoint()')
  const { transaction } = core
  const name = transaction.begun ? session.remembering().newName() : undefined
  // In one go with the savepoint's place among the statements.
  const wayBack = wayBackTo(session, name)
  if (name !== undefined) await transaction.statements.run(`savepoint ${name}`)
  return wayBack
}

/** The way back to a savepoint of that name; without one, to the beginning of the database transaction. */
export function wayBackTo(session: Rememberable, name: string | undefined): DataManagerSavepoint {
  const { core, statements, commits } = session
  const savepoints = session.remembering()
  const { transaction } = core
  const snapshot = savepoints.take()
  const written = transaction.writes.now()
  const { count } = commits
  const rollback = async (): Promise<void> => {
    for (const rounds = new Rounds(core.role); !core.isIdle; rounds.next()) await core.idle()
    statements.refuseNested('The rollback of a savepoint')
    if (count !== commits.count || (name !== undefined && transaction !== core.transaction)) {
      throw savepointIsGone(core.role)
    }
    // What is flushed from here on comes behind the rollback, and is not of what that undoes.
    const undone = name === undefined ? core.startOver() : transaction.statements.run(`rollback to ${name}`)
    core.transaction.goBackTo(written, name !== undefined)
    await Promise.all([undone, holdingFlushes(core.em, savepoints.restore(snapshot))])
  }
  return { rollback }
}
