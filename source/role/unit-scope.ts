import type { ConnectionUser } from '../database/connection-waits.ts'
import type { Session } from '../session/session.ts'
import { ContextValue } from '../transaction/context-value.ts'

/** The unit of work that a scope is of. */
export interface ScopedUnit {
  /** As in a sentence. */
  readonly name: string
  /** Whether statements of it are on their way that have their connection. */
  readonly isBusy: boolean
  /** Counts up with what it does in its databases. */
  readonly steps: number
  /** What it belongs to: the Koa ctx in a request. */
  readonly owner: unknown
  /** Whether the code of the unit that it was started in waits for its end. */
  isAwaitedIn(outer: ScopedUnit | undefined): boolean
  readonly ended: boolean
  /** Whether it has not ended, and its transaction is not committed yet. */
  readonly isOpen: boolean
  /** The session of a role, opened if it is not open yet. */
  session(role: string): Session
  /** The session of a role, if one is open. */
  opened(role: string): Session | undefined
  /** Whether its session of a role has a transaction open. */
  holdsConnection(role: string): boolean
}

/** What the code around a unit is of. */
export interface Around extends ConnectionUser {
  readonly isOver: boolean
}

const NONE: readonly UnitScope[] = []
/** Counts the units. */
let started = 0
const storage = new ContextValue<UnitScope>('unit')

/** The asynchronous context of one unit of work. Code that goes on after the unit keeps nothing of it alive. */
export class UnitScope implements Around {
  readonly registry: object
  readonly number: number
  /** The scopes around it, from the inside out: one of each registry, and those of repeated attempts. */
  readonly outer: readonly UnitScope[]
  /** Undefined once the unit has ended and nothing reads from it. */
  unit: ScopedUnit | undefined
  #repeats: boolean
  /** The one whose code started it. Undefined when this one is over. */
  #startedIn: Around | undefined

  constructor(registry: object, unit: ScopedUnit, repeats: boolean, startedIn: Around | undefined = runningUser()) {
    this.registry = registry
    this.unit = unit
    this.#repeats = repeats
    this.outer = scopesAround(registry)
    this.number = ++started
    this.#startedIn = startedIn
  }

  get name(): string {
    return this.unit?.name ?? 'a unit that has ended'
  }

  get isBusy(): boolean {
    return this.isOver || this.unit?.isBusy === true
  }

  get isOver(): boolean {
    return this.unit?.ended !== false
  }

  get steps(): number {
    return this.unit?.steps ?? 0
  }

  get startedIn(): Around | undefined {
    const outer = this.#startedIn
    if (this.unit === undefined || outer === undefined || outer.isOver) return undefined
    return this.unit.isAwaitedIn(outer instanceof UnitScope ? outer.unit : undefined) ? outer : undefined
  }

  get running(): UnitScope | undefined {
    return runningUser()
  }

  readonly usedBy = undefined

  /** Whether the same work was attempted again, or may be. */
  get repeats(): boolean {
    return this.#repeats
  }

  /** Whether the running code was called in it. */
  get isHere(): boolean {
    return innermostScope((scope) => scope === this) !== undefined
  }

  /** Lets go of the unit, which is over. */
  release(wasRepeated: boolean): void {
    this.unit = undefined
    this.#startedIn = undefined
    this.#repeats &&= wasRepeated
  }
}

/** The number of the unit or session that was started last: what starts from here on has a higher one. */
export function lastStarted(): number {
  return started
}

function scopesAround(registry: object): readonly UnitScope[] {
  const here = storage.get()
  if (here === undefined) return NONE
  return [here, ...here.outer].filter((scope) => scope.registry !== registry || scope.repeats)
}

/** The unit whose code is running, while it is open. */
export function runningUser(): UnitScope | undefined {
  const here = storage.get()
  return here?.isOver === false ? here : undefined
}

/** A session of `registry.session()`, for those who wait for its connection. */
export class SessionUser implements ConnectionUser {
  readonly number = ++started
  readonly startedIn = undefined
  /** Set when it is opened. */
  session: Session | undefined
  readonly #role: string
  readonly #openedIn = runningUser()

  constructor(role: string) {
    this.#role = role
  }

  get name(): string {
    const { usedBy } = this
    return `registry.session("${this.#role}")${usedBy === undefined ? '' : ` in ${usedBy.name}`}`
  }

  get usedBy(): UnitScope | undefined {
    return this.#openedIn?.isOver === false ? this.#openedIn : undefined
  }

  get running(): UnitScope | undefined {
    return runningUser()
  }

  get isBusy(): boolean {
    return this.session?.core.isBusy !== false
  }

  get steps(): number {
    return this.session?.core.steps ?? 0
  }
}

/** The innermost scope around the running code that fits. */
export function innermostScope(fits: (scope: UnitScope) => boolean): UnitScope | undefined {
  const here = storage.get()
  return here === undefined || fits(here) ? here : here.outer.find(fits)
}

/** Runs `work` in `scope`. */
export function runInScope<T>(scope: UnitScope, work: () => T): T {
  return storage.run(scope, work)
}

/** Runs `work` outside of all scopes. */
export function outsideOfScopes<T>(work: () => T): T {
  return storage.run(undefined, work)
}
