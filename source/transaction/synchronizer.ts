import type { Transaction } from './transaction.ts'

/**
 * Who wants to know of every transaction of a manager: `manager.registerSynch(synchronizer)`.
 *
 * The manager holds it weakly, so keep a reference to it. Every method may answer at once or with a promise.
 * Zope: `ISynchronizer`.
 */
export interface Synchronizer {
  /** A commit or an abort is about to begin. An error breaks a commit off; an abort goes on and throws it at its end. */
  beforeCompletion(transaction: Transaction): void | PromiseLike<void>

  /** A commit that got as far as its two phases, or an abort, is over. An error comes out of it. */
  afterCompletion(transaction: Transaction): void | PromiseLike<void>

  /** `begin` made this transaction; also called at once when registering while one is current. */
  newTransaction(transaction: Transaction): void | PromiseLike<void>
}
