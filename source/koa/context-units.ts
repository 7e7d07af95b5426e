import type { Context } from 'koa'
import type { UnitOfWork } from '../unit/unit-of-work.ts'

/** On ctx: its units of work. */
const UNITS = Symbol('koa-sqlassist units of work')

interface Units {
  readonly [UNITS]?: ContextUnits
}

/** A unit of work, and the property of ctx that has its sessions. */
interface Offered {
  readonly property: string
  readonly unit: UnitOfWork
}

const OWN = { configurable: true, enumerable: true, writable: true }

/** The units of work of one ctx: those of several registries, and those of earlier attempts. */
export class ContextUnits {
  /** In the order of their start; a unit may have several properties. */
  readonly #offered: Offered[] = []

  static of(ctx: Context): ContextUnits | undefined {
    return (ctx as Units)[UNITS]
  }

  /** Has ctx offer the sessions of `unit` as `property`, and its transaction. */
  static offer(ctx: Context, property: string, unit: UnitOfWork): void {
    const units: ContextUnits = (ctx[UNITS] ??= startedOn(ctx))
    units.#offer(ctx, property, unit)
  }

  #offer(ctx: Context, property: string, unit: UnitOfWork): void {
    const isFirst = !this.#offered.some((offered) => offered.property === property)
    this.#offered.push({ property, unit })
    if (isFirst) ctx[property] = unit.container
    else this.#read(ctx, property)
  }

  /** Has each code read its own: that of an earlier attempt may still run, and so may that around another registry. */
  #read(ctx: Context, property: string): void {
    Object.defineProperty(ctx, property, {
      get: () => this.#here(({ property: name }) => name === property)?.container,
      // The handler may put another in its place.
      set(value: unknown) {
        Object.defineProperty(ctx, property, { ...OWN, value })
      },
      configurable: true,
      enumerable: true,
    })
  }

  /** The unit that the running code is in: the innermost one. */
  get here(): UnitOfWork | undefined {
    const [first] = this.#offered
    return this.#offered.length === 1 ? first?.unit : this.#here(() => true)
  }

  /** The unit of `registry` that has not ended. */
  open(registry: object): UnitOfWork | undefined {
    return this.#offered.findLast(({ unit }) => unit.scope.registry === registry && !unit.ended)?.unit
  }

  /** The properties of the units that have stored something and ended before `unit` did, which they are in. */
  storedIn(unit: UnitOfWork): string[] {
    const inner = this.#offered.slice(this.#offered.findIndex((offered) => offered.unit === unit) + 1)
    return inner.filter((offered) => offered.unit !== unit && offered.unit.hasStored).map(({ property }) => property)
  }

  /** Where the asynchronous context is lost, the last one that has not ended. */
  #here(fits: (offered: Offered) => boolean): UnitOfWork | undefined {
    const fitting = this.#offered.filter(fits)
    const found =
      fitting.findLast(({ unit }) => unit.scope.isHere) ?? fitting.findLast(({ unit }) => !unit.ended) ?? fitting.at(-1)
    return found?.unit
  }
}

function startedOn(ctx: Context): ContextUnits {
  const prototype: object = ctx.app.context
  if (!Object.hasOwn(prototype, 'txn')) Object.defineProperties(prototype, TRANSACTION)
  return new ContextUnits()
}

/** Defines getters on ctx: most requests never read them. */
const TRANSACTION: PropertyDescriptorMap & ThisType<Units> = {
  tm: {
    get() {
      return this[UNITS]?.here?.tmInUse
    },
  },
  txn: {
    get() {
      return this[UNITS]?.here?.tmInUse.get()
    },
  },
}
