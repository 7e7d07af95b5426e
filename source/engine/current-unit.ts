import { AsyncLocalStorage } from 'node:async_hooks'
import type { EngineRegistry } from './engine-registry.ts'
import type { UnitOfWork } from './unit-of-work.ts'

const NONE: readonly UnitScope[] = []
const storage = new AsyncLocalStorage<UnitScope | undefined>()

/** The asynchronous context of one unit of work. Code in it may go on after the unit, of which it then keeps nothing alive. */
export class UnitScope {
  readonly registry: EngineRegistry
  /** Those around it, from the inside out: of one registry the innermost, and those of attempts that are made again. */
  readonly outer: readonly UnitScope[]
  /** Undefined once the unit has ended and nothing reads from it. */
  unit: UnitOfWork | undefined
  #repeats: boolean

  constructor(unit: UnitOfWork, repeats: boolean) {
    this.registry = unit.registry
    this.unit = unit
    this.#repeats = repeats
    this.outer = scopesAround(unit.registry)
  }

  /** Whether another attempt at the same work was made, or may be made. */
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

function scopesAround(registry: EngineRegistry): readonly UnitScope[] {
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

/** Runs `work` outside of all. */
export function outsideOfScopes<T>(work: () => T): T {
  return storage.run(undefined, work)
}
