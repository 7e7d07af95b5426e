import type { Transaction, TransactionManager } from '../transaction/index.ts'
import type { DbSessionsContainer, Engines } from './db-sessions-container.ts'
import { ConfigurationError } from '../role/errors.ts'
import { runAttempts } from './run-in-unit.ts'
import type { UnitOfWorkOptions } from './unit-host.ts'
import type { UnitOfWork } from './unit-of-work.ts'

/** What `registry.run` hands to the work. */
export interface RunContext<E extends Engines, Sessions = DbSessionsContainer<E>> {
  /** The sessions of this run, one for each role. */
  readonly dbSession: Sessions
  /** The transaction manager of this run, or of this attempt at it. @throws UnitOfWorkEndedError after the end */
  readonly tm: TransactionManager
  /** The current transaction. @throws NoTransactionError when the work ended it and began no other; UnitOfWorkEndedError */
  readonly txn: Transaction
}

/** How `registry.run` runs its work. */
export interface RunOptions {
  /** How often to try at most, the first time included, when the work ends in an error worth retrying. Default 1. */
  readonly attempts?: number | undefined
  /** The note of the transaction. Default: the name of the function. */
  readonly name?: string | undefined
  /** Aborting it cancels the running statements and aborts the transaction; a commit that has begun is finished. Default: none. */
  readonly signal?: AbortSignal | undefined
}

/** Starts the unit of an attempt. @internal */
type Start = (options: Pick<UnitOfWorkOptions, 'attempt' | 'mayRetry' | 'note'>) => UnitOfWork

/** Runs work in a unit of work outside HTTP, for `registry.run`. @internal */
export async function run<E extends Engines, Sessions, T>(
  start: Start,
  work: (context: RunContext<E, Sessions>) => Promise<T> | T,
  options: RunOptions,
): Promise<T> {
  const { attempts = 1, name = work.name, signal } = resolveRunOptions(options)
  const note = name === '' ? undefined : (): string => name
  return await runAttempts({
    start: (attempt) => start({ attempt, mayRetry: attempt < attempts, note }),
    work: (unit) =>
      withSignal(unit, signal, async () => {
        const result = await work(new UnitContext(unit))
        if (unit.transaction()?.isDoomed() === true) await unit.abort('doomed')
        return result
      }),
  })
}

/** A class, since each object literal with getters has a hidden class of its own, which V8 keeps for long. */
class UnitContext<E extends Engines, Sessions> implements RunContext<E, Sessions> {
  readonly dbSession: Sessions
  readonly #unit: UnitOfWork

  constructor(unit: UnitOfWork) {
    this.dbSession = unit.container as Sessions
    this.#unit = unit
  }

  get tm(): TransactionManager {
    return this.#unit.tmInUse
  }

  get txn(): Transaction {
    return this.#unit.tmInUse.get()
  }
}

function resolveRunOptions(options: RunOptions): RunOptions {
  const { attempts = 1 } = options
  if (Number.isInteger(attempts) && attempts >= 1) return options
  throw new ConfigurationError(`attempts is ${String(attempts)}. It can be a whole number from 1.`)
}

async function withSignal<T>(
  unit: UnitOfWork,
  signal: AbortSignal | undefined,
  work: () => Promise<T> | T,
): Promise<T> {
  if (signal === undefined) return await work()
  signal.throwIfAborted()
  const cancel = (): void => unit.cancel(signal.reason as Error)
  signal.addEventListener('abort', cancel, { once: true })
  try {
    return await work()
  } finally {
    signal.removeEventListener('abort', cancel)
    signal.throwIfAborted()
  }
}
