import { TransactionEndedError, TransactionError } from '../../source/transaction/index.ts'
import { labelOf } from './errors.ts'

/** The features that may be skipped, and why this library forbids each. */
export const refusedFeatures = {
  recommit:
    'A transaction is committed once. A second commit, from inside its two phases or after them, would send its data managers ' +
    'through two phases again that they have already been through; it is refused (SQLASSIST_COMMIT_STATUS, or SQLASSIST_TRANSACTION_ENDED ' +
    'once the transaction has ended).',
  stale:
    'A transaction that ended can do nothing more. What joins it or is hooked to it would never be committed or aborted, a savepoint of ' +
    'it means nothing, and an abort cannot undo what was committed; all that is refused (SQLASSIST_TRANSACTION_ENDED). Reading it, ' +
    'annotating it and aborting an aborted one are as with Zope.',
  'late-savepoint':
    'A savepoint is a promise to go back, which nobody can keep once a commit has begun its two phases; it is refused ' +
    '(SQLASSIST_SAVEPOINT_STATUS).',
  bare:
    'A transaction without a manager works like every other, and ends like every other: the same calls are refused then ' +
    '(SQLASSIST_TRANSACTION_ENDED).',
} as const

export type RefusedFeature = keyof typeof refusedFeatures

/** The call of Zope's that this error forbids on purpose, if that is what it does. */
export function refusalOf(error: unknown): RefusedFeature | undefined {
  if (!(error instanceof TransactionError)) return undefined
  if (error.code === 'SQLASSIST_COMMIT_STATUS') return 'recommit'
  if (error.code === 'SQLASSIST_SAVEPOINT_STATUS') return 'late-savepoint'
  if (!(error instanceof TransactionEndedError) || labelOf(error) !== String(error)) return undefined
  return error.operation === 'commit' && error.status === 'Committed' ? 'recommit' : 'stale'
}
