import { AsyncLocalStorage } from 'node:async_hooks'
import type { Session } from '../session/session.ts'

/** The unit of work that a scope is of. */
export interface ScopedUnit {
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

const NONE: readonly UnitScope[] = []
const storage = new AsyncLocalStorage<UnitScope | undefined>()

/** The asynchronous context of one unit of work. Code that goes on after the unit keeps nothing of it alive. */
export class UnitScope {
  readonly registry: object
  /** The scopes around it, from the inside out: one of each registry, and those of repeated attempts. */
  readonly outer: readonly UnitScope[]
  /** Undefined once the unit has ended and nothing reads from it. */
  unit: ScopedUnit | undefined
  #repeats: boolean

  constructor(registry: object, unit: ScopedUnit, repeats: boolean) {
    this.registry = registry
    this.unit = unit
    this.#repeats = repeats
    this.outer = scopesAround(registry)
  }

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
    this.#repeats &&= wasRepeated
  }
}

function scopesAround(registry: object): readonly UnitScope[] {
  const here = storage.getStore()
  if (here === undefined) return NONE
  return [here, ...here.outer].filter((scope) => scope.registry !== registry || scope.repeats)
}

/** The innermost scope around the running code that fits. */
export function innermostScope(fits: (scope: UnitScope) => boolean): UnitScope | undefined {
  const here = storage.getStore()
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
