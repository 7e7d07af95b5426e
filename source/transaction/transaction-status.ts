/**
 * The states of a transaction, with Zope's names.
 *
 * | from | to | by |
 * | --- | --- | --- |
 * | Active | Doomed | `doom` |
 * | any | Committing | `commit`, after its beforeCommit hooks and beforeCompletion |
 * | Committing | Committed | every data manager finished |
 * | any | Commit failed | an error in a commit's two phases, in making a savepoint or in rolling one back |
 *
 * Nothing leads out of `Commit failed`. An abort leaves the state as it was: no state says aborted.
 */
export const transactionStatuses = ['Active', 'Doomed', 'Committing', 'Committed', 'Commit failed'] as const

/** One of {@link transactionStatuses}. */
export type TransactionStatus = (typeof transactionStatuses)[number]
