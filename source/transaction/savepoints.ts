import { type CallOut, isThenable } from './call-out.ts'
import type { DataManager, DataManagerSavepoint } from './data-manager.ts'
import { labelOf } from './describe.ts'
import { InvalidSavepointRollbackError, SavepointUnsupportedError } from './errors.ts'
import { rollbackChannel, traced } from './transaction-channels.ts'
import type { TransactionCore } from './transaction-core.ts'
import { cleanUp } from './two-phase-commit.ts'

/** A state of a transaction to go back to, made by `transaction.savepoint()`. Zope: `ISavepoint`. */
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
  /** Called when the rollback has been answered. */
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

  /** Adds the entry of a data manager that joins after this savepoint was made. */
  tie(entry: SavepointEntry): void {
    this.#entries.push(entry)
  }

  /** Rolls all entries back, including those added meanwhile. */
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

/** The savepoints of one transaction. */
export class Savepoints {
  // Oldest first.
  #valid: TransactionSavepoint[] = []
  readonly #inTheMaking = new Set<TransactionSavepoint>()

  /** Whether no savepoint is valid and none is being made. */
  get isEmpty(): boolean {
    return this.#valid.length === 0 && this.#inTheMaking.size === 0
  }

  /** Makes a savepoint over these data managers, which is valid when all have answered. */
  async make(
    savepoint: TransactionSavepoint,
    resources: readonly DataManager[],
    optimistic: boolean,
    calls: CallOut,
  ): Promise<void> {
    this.#inTheMaking.add(savepoint)
    try {
      await savepoint.ask(resources, optimistic, calls)
    } finally {
      this.#inTheMaking.delete(savepoint)
    }
    this.#valid.push(savepoint)
  }

  /**
   * Adds the entry of a data manager that joins to all savepoints made before.
   *
   * A join from outside also ties to a savepoint being made, which does not ask that data manager any more.
   */
  tie(entry: SavepointEntry, isFromOutside: boolean): void {
    for (const savepoint of this.#valid) savepoint.tie(entry)
    if (isFromOutside) for (const savepoint of this.#inTheMaking) savepoint.tie(entry)
  }

  invalidateAfter(savepoint: TransactionSavepoint): void {
    for (const later of this.#valid.splice(this.#valid.indexOf(savepoint) + 1)) later.invalidate()
  }

  invalidateAll(): void {
    for (const savepoint of this.#valid) savepoint.invalidate()
    this.#valid = []
  }
}

/** Makes a savepoint of all data managers that have joined by now. */
export async function takeSavepoint(core: TransactionCore, optimistic: boolean): Promise<TransactionSavepoint> {
  core.assertNotEnded('savepoint')
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
