import { NoTransactionError, TransactionManager, type DataManager, type Transaction } from '../transaction/index.ts'
import type { MaybeLater } from '../transaction/maybe-later.ts'
import { askedTooLate } from '../role/errors.ts'
import { TransactionsDisabledError } from './errors.ts'
import { OneByOneCommits } from './one-by-one-commits.ts'
import type { UnitOfWorkOptions } from './unit-host.ts'

/** The transaction of a unit of work, begun by its first use: a unit that never uses it goes without. */
export class LazyTransaction {
  readonly #options: UnitOfWorkOptions
  readonly #finishing: (resources: readonly DataManager[]) => void
  #manager: TransactionManager | undefined
  /** The transaction that the unit began; `'unbegun'` until the first use. */
  #first: Transaction | 'unbegun' | undefined

  /** `finishing` is called as the option of a TransactionManager. */
  constructor(options: UnitOfWorkOptions, finishing: (resources: readonly DataManager[]) => void) {
    this.#options = options
    this.#finishing = finishing
  }

  /** Begins with the first use; at once under a manager of the program's own, which may have synchronizers. */
  begin(): MaybeLater {
    if (this.#options.manager !== undefined) return this.#beginNow()
    this.#first = 'unbegun'
    return undefined
  }

  async #beginNow(): Promise<void> {
    await this.manager.begin()
    this.#noteFirst(this.manager)
  }

  /** The transaction manager, whose transaction is begun by that. */
  get manager(): TransactionManager {
    const manager = (this.#manager ??= managerFor(this.#options, this.#finishing))
    if (this.#first === 'unbegun') {
      this.#first = undefined
      // A new manager without synchronizers begins at once.
      void manager.begin()
      this.#noteFirst(manager)
    }
    return manager
  }

  #noteFirst(manager: TransactionManager): void {
    const { note, owner } = this.#options
    this.#first = manager.get()
    if (note !== undefined) this.#first.note(note(owner))
  }

  get isUnbegun(): boolean {
    return this.#first === 'unbegun'
  }

  /** The transaction that the unit began, also when it has ended. */
  get first(): Transaction | undefined {
    return this.#first === 'unbegun' ? undefined : this.#first
  }

  /** The transaction under way, if there is one. */
  get current(): Transaction | undefined {
    if (this.#manager === undefined || this.#first === 'unbegun') return undefined
    try {
      return this.#manager.get()
    } catch (error) {
      if (error instanceof NoTransactionError) return undefined
      throw error
    }
  }

  /** Begins no transaction from here on. */
  drop(): void {
    if (this.#first === 'unbegun') this.#first = undefined
  }

  /** Closes the unit's own manager: nobody would end a transaction that is begun later. */
  close(): void {
    if (this.#manager !== this.#options.manager) this.#manager?.close(managerAskedTooLate)
  }
}

export function managerAskedTooLate(): Error {
  return askedTooLate('The transaction')
}

function managerFor(
  { disableTransaction, manager, attempt }: UnitOfWorkOptions,
  finishing: (resources: readonly DataManager[]) => void,
): TransactionManager {
  if (disableTransaction) return new TransactionManager({ explicit: true, attempt, admit: assertOneByOne })
  return manager ?? new TransactionManager({ explicit: true, attempt, finishing })
}

function assertOneByOne(resource: unknown): void {
  if (!(resource instanceof OneByOneCommits)) throw new TransactionsDisabledError()
}
