import type { CommitPlanner } from '../atomic/commit-planner.ts'
import type { Around } from '../role/unit-scope.ts'
import type { Engine } from '../role/engine.ts'
import type { TransactionManager } from '../transaction/index.ts'
import type { UnitPositions } from './positions.ts'

/** The registry that a unit of work was started by. */
export interface UnitHost {
  readonly names: readonly string[]
  readonly commitPlanner: CommitPlanner
  has(role: string): boolean
  /** @throws UnknownRoleError; ConfigurationError for `'!default'` where no role is the default */
  engine(role: string): Engine
  /** Owns a promise that nobody waits for. It must not reject. */
  watch(work: Promise<void>): void
  /** Counts a unit again that had ended and now reads. @throws RegistryClosedError */
  resume(): void
  /** Counts a unit no longer. */
  forget(): void
}

/** Hears of a unit of work. */
export interface UnitObserver {
  /** Called with every session that the unit opens. */
  sessionOpened(): void
}

/** The options that decide on another attempt at the work of a unit. */
export interface AttemptOptions {
  /** Which attempt at the same work this is, counted from 1. Default 1. */
  readonly attempt?: number | undefined
  /** Whether there is another attempt after this one. Default `false`. */
  readonly mayRetry?: boolean | undefined
  /** Says why the work cannot be attempted again, if so. Called after an error that is worth retrying. */
  readonly obstacle?: (() => string | undefined) | undefined
}

/** How a unit of work is started. */
export interface UnitOfWorkOptions extends AttemptOptions {
  /** What its sessions belong to: the Koa ctx in a request. */
  readonly owner: unknown
  readonly anyPreference: readonly string[]
  readonly disableTransaction: boolean
  /** The manager to use; by default a new explicit one. */
  readonly manager?: TransactionManager | undefined
  /** Gives the note of the transaction, called with the owner. */
  readonly note?: ((owner: any) => string) | undefined
  /** One object for all attempts at the same work. Default: the owner, or the unit's container. */
  readonly series?: object | undefined
  readonly observer?: UnitObserver | undefined
  /** What its reads have to show; shared by the attempts at the same work. Default: what it commits itself. */
  readonly positions?: UnitPositions | undefined
  /** Whose code started it. Default: the unit whose code is running. */
  readonly startedIn?: Around | undefined
  /** Whether the code that started it waits for its end. Default: inside of another unit of the same owner. */
  readonly isAwaited?: (() => boolean) | undefined
}
