import type { CallOut } from './call-out.ts'
import type { DataManager } from './data-manager.ts'
import type { SavepointEntry, TransactionSavepoint } from './savepoint.ts'

/** The savepoints of one transaction. */
export class Savepoints {
  // Oldest first.
  #valid: TransactionSavepoint[] = []
  readonly #inTheMaking = new Set<TransactionSavepoint>()

  /** Whether there is none to go back to, and none in the making. */
  get isEmpty(): boolean {
    return this.#valid.length === 0 && this.#inTheMaking.size === 0
  }

  /** Makes one over these data managers; it counts from when all have answered. */
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
   * Ties a data manager that joins to the savepoints before it; from outside also to one being made, which would otherwise
   * neither have asked it nor know that it came later.
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
