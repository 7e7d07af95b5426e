import { named } from './describe.ts'
import { DoomedTransactionError } from './errors.ts'
import type { HookList } from './hooks.ts'
import type { TransactionCore } from './transaction-core.ts'
import { runPasses, sortByKey } from './two-phase-commit.ts'

/** Commits a transaction. Waits for nothing where it calls nobody. */
export async function commit(core: TransactionCore): Promise<void> {
  assertCommittable(core)
  core.commits++
  try {
    const beforeHooks = core.hooksToRun('beforeCommit')
    if (beforeHooks !== undefined) await runBeforeCommitHooks(core, beforeHooks)
    const before = core.synchronize('beforeCompletion')
    if (before !== undefined) await before
    // Overwrites Doomed: a hook that doomed the transaction came too late.
    core.status = 'Committing'
    try {
      // An error in sorting gets no clean-up: nobody has been called.
      if (core.resources.length > 0) await runPasses(sortByKey(core.resources), core)
      core.status = 'Committed'
    } catch (error) {
      core.fail(error)
      await core.afterHooks('afterCommit', [false], 'suppress')
      throw error
    }
    const after = core.synchronize('afterCompletion')
    if (after !== undefined) await after
    const afterHooks = core.afterHooks('afterCommit', [true], 'suppress')
    if (afterHooks !== undefined) await afterHooks
    core.free()
  } finally {
    core.commits--
  }
}

async function runBeforeCommitHooks(core: TransactionCore, hooks: HookList): Promise<void> {
  core.runsBeforeCommitHooks = true
  try {
    await hooks.round(core.calls, [], 'throw')
  } finally {
    core.runsBeforeCommitHooks = false
  }
}

/** A synchronizer may commit once more from its beforeCompletion, as in Zope; a third commit would recurse for ever. */
const NESTED_COMMITS = 2

function assertCommittable(core: TransactionCore): void {
  core.assertNotEnded('commit')
  if (core.runsBeforeCommitHooks || core.commits >= NESTED_COMMITS) {
    throw core.wrongState('SQLASSIST_COMMIT_STATUS', 'commit', 'the commit that called this code is under way already')
  }
  switch (core.status) {
    case 'Doomed':
      throw new DoomedTransactionError(
        `commit: ${named(core.metadata)} is doomed and can only be aborted: await transaction.abort(). Nothing was committed.`,
      )
    case 'Committing':
    case 'Committed':
      throw core.wrongState(
        'SQLASSIST_COMMIT_STATUS',
        'commit',
        'it is committed once; abort() lets go of a Committed one',
      )
    case 'Commit failed':
      core.invalidateSavepoints()
      throw core.failedEarlier('commit')
    case 'Active':
      core.invalidateSavepoints()
  }
}
