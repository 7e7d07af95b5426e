import { type CallOut, isThenable } from './call-out.ts'
import type { DataManager, DataManagerSavepoint } from './data-manager.ts'
import { labelOf } from './describe.ts'
import { InvalidSavepointRollbackError, SavepointUnsupportedError } from './transaction-errors.ts'

/** A state of a transaction to go back to, as `transaction.savepoint()` gives it. Zope: `ISavepoint`. */
export interface Savepoint {
  /** Whether it can be rolled back. Ends with a commit or an abort, or with the rollback of an earlier savepoint. */
  readonly valid: boolean

  /**
   * Takes every data manager back to where it was; one that joined later is aborted and leaves the transaction.
   *
   * The savepoint stays valid and can be rolled back again; later savepoints become invalid, even if the rollback fails.
   * An error of a data manager stops the rollback, makes the transaction `Commit failed` and is thrown as it is.
   *
   * @throws InvalidSavepointRollbackError (SQLASSIST_INVALID_SAVEPOINT) when it is no longer valid
   * @throws SavepointUnsupportedError (SQLASSIST_SAVEPOINT_UNSUPPORTED) when it was made optimistically over a data manager
   *   that has no savepoints; the transaction is then `Commit failed`
   * @throws ConcurrentCallError (SQLASSIST_CONCURRENT_CALL) from outside while another call is under way
   */
  rollback(): Promise<void>
}

/** One step of a rollback. */
export interface SavepointEntry {
  readonly participant: object
  rollback(): void | PromiseLike<void>
  /** Once the rollback has been answered. */
  after?(): void
}

/** The savepoint of a transaction: one entry for each data manager, in the order of joining. */
export class TransactionSavepoint implements Savepoint {
  readonly #entries: SavepointEntry[] = []
  // Absent once invalid.
  #rollback: ((savepoint: TransactionSavepoint) => Promise<void>) | undefined

  constructor(rollback: (savepoint: TransactionSavepoint) => Promise<void>) {
    this.#rollback = rollback
  }

  get valid(): boolean {
    return this.#rollback !== undefined
  }

  invalidate(): void {
    this.#rollback = undefined
  }

  async rollback(): Promise<void> {
    if (this.#rollback === undefined) {
      throw new InvalidSavepointRollbackError(
        'This savepoint is no longer valid: its transaction was committed or aborted, or an earlier savepoint was rolled back. ' +
          'Make a new one with transaction.savepoint().',
      )
    }
    await this.#rollback(this)
  }

  /** Asks every data manager for its part. */
  async ask(resources: readonly DataManager[], optimistic: boolean, calls: CallOut): Promise<void> {
    for (const resource of resources) {
      if (typeof resource.savepoint === 'function') {
        calls.announce('savepoint', resource)
        const answer = resource.savepoint()
        const part = isThenable(answer) ? await calls.settle(answer, 'savepoint', resource) : answer
        this.#entries.push(partOf(resource, part))
      } else if (optimistic) {
        this.#entries.push(refusalOf(resource))
      } else {
        throw unsupported(resource)
      }
    }
  }

  /** For a data manager that joins when the savepoint is already there: going back means that it had not joined. */
  tie(entry: SavepointEntry): void {
    this.#entries.push(entry)
  }

  /** Rolls all entries back, those added meanwhile included. */
  async replay(calls: CallOut): Promise<void> {
    for (let index = 0; index < this.#entries.length; index++) {
      const entry = this.#entries[index] as SavepointEntry
      calls.announce('rollback', entry.participant)
      const answer = entry.rollback()
      if (isThenable(answer)) await calls.settle(answer, 'rollback', entry.participant)
      entry.after?.()
    }
  }
}

function partOf(participant: object, part: DataManagerSavepoint): SavepointEntry {
  return { participant, rollback: () => part.rollback() }
}

function refusalOf(participant: object): SavepointEntry {
  return {
    participant,
    rollback() {
      throw unsupported(participant)
    },
  }
}

function unsupported(resource: object): SavepointUnsupportedError {
  return new SavepointUnsupportedError(
    `The data manager ${labelOf(resource)} has no savepoint(), so it cannot be taken back to one; ` +
      'give it that method, or make the savepoint with { optimistic: true } and do not roll it back.',
  )
}
