import type { Transaction, TransactionManager } from '../transaction/index.ts'
import type { DbSessionsContainer, Engines } from './db-sessions-container.ts'
import { ConfigurationError } from '../role/errors.ts'
import { plainTransactionHere } from '../role/plain-transactions.ts'
import { runningUser } from '../role/unit-scope.ts'
import { AbortableWork } from './abortable-work.ts'
import { assertKnownOptions } from '../role/known-options.ts'
import { checkedPreference } from './any-preference.ts'
import { AwaitedPromise } from './awaited-promise.ts'
import { positionsAfter, UnitPositions } from './positions.ts'
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
  /** What its sessions belong to, such as the job: `requestOf` returns it. Default: undefined. */
  readonly owner?: unknown
  /** Roles that `.any` tries, in order. Default `['reader', 'writer']`. */
  readonly anyPreference?: readonly string[] | undefined
  /**
   * What its reads from replicas have to show: what `positionOf(ctx.dbSession)` has returned in the request that it follows.
   * Default: what it commits itself.
   */
  readonly after?: string | undefined
  /**
   * Aborting it cancels the running statements and aborts the transaction; a commit that has begun is finished. The run throws
   * its reason, with what the work threw as the cause. Default: none.
   */
  readonly signal?: AbortSignal | undefined
}

/** Starts the unit of an attempt. @internal */
type Start = (
  options: Pick<
    UnitOfWorkOptions,
    'attempt' | 'mayRetry' | 'note' | 'owner' | 'anyPreference' | 'startedIn' | 'isAwaited' | 'positions'
  >,
) => UnitOfWork

const OPTIONS: readonly (keyof RunOptions)[] = ['attempts', 'name', 'owner', 'anyPreference', 'after', 'signal']

type Work<E extends Engines, Sessions, T> = (context: RunContext<E, Sessions>) => Promise<T> | T

/** Runs work in a unit of work outside HTTP, for `registry.run`; `roles` are those of the registry. @internal */
export function run<E extends Engines, Sessions, T>(
  start: Start,
  work: Work<E, Sessions, T>,
  options: RunOptions,
  roles: readonly string[],
): Promise<T> {
  const plain = plainTransactionHere()
  const startedIn = plain ?? runningUser()
  if (startedIn === undefined) return runWith(start, work, options, roles)
  return AwaitedPromise.of((isAwaited) => {
    const running = runWith((unit) => start({ ...unit, startedIn, isAwaited }), work, options, roles)
    return plain === undefined ? running : plain.during(running)
  })
}

async function runWith<E extends Engines, Sessions, T>(
  start: Start,
  work: Work<E, Sessions, T>,
  options: RunOptions,
  roles: readonly string[],
): Promise<T> {
  assertRunOptions(options)
  const { attempts = 1, name = work.name, owner, after, signal } = options
  const given = after === undefined ? undefined : positionsAfter(after, roles)
  const positions = new UnitPositions(given && (() => given))
  const anyPreference = checkedPreference(options.anyPreference, roles)
  const note = name === '' ? undefined : (): string => name
  const abortable = signal === undefined ? undefined : new AbortableWork(signal)
  return await runAttempts({
    start: (attempt) => start({ attempt, mayRetry: attempt < attempts, note, owner, anyPreference, positions }),
    work: (unit) => {
      const inUnit = async (): Promise<T> => {
        const result = await work(new UnitContext(unit))
        if (unit.transaction()?.isDoomed() === true) await unit.abort('doomed')
        return result
      }
      return abortable === undefined ? inUnit() : abortable.in(unit, inUnit)
    },
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

/** @throws ConfigurationError */
function assertRunOptions(options: RunOptions): void {
  assertKnownOptions('run()', options, OPTIONS)
  const { attempts = 1, name, signal } = options
  if (!Number.isInteger(attempts) || attempts < 1) {
    throw new ConfigurationError(`attempts is ${String(attempts)}. It can be a whole number from 1.`)
  }
  if (name !== undefined && typeof name !== 'string') {
    throw new ConfigurationError(`name is a ${typeof name}. It can be the note of the transaction, a string.`)
  }
  if (signal !== undefined && typeof signal?.throwIfAborted !== 'function') {
    throw new ConfigurationError(`signal is no AbortSignal. Give one, such as AbortSignal.timeout(60_000).`)
  }
}
