import type { Random } from '../crash/random.ts'
import {
  ENDINGS,
  FAILURES,
  HIDDEN_WRITES,
  killable,
  leavable,
  LEFTOVERS,
  MOMENTS,
  READS,
  WRITES,
  type Action,
  type Asked,
  type Dialect,
  type Frame,
  type Handling,
  type Role,
  type Slot,
  type Step,
} from './program.ts'
import { WEIGHTS, type Kind } from './weights.ts'

/** Where a step stands. */
interface Place {
  readonly depth: number
  /** Whether something else may run at the same time: then each write has a row of its own. */
  readonly branch: boolean
  readonly nested: 'same' | 'other' | undefined
}

const DEEPEST = 3
const SHARED_NOTES = 3
const MAY_BE_FORGOTTEN = new Set<Action['do']>([
  'write',
  'flush',
  'read',
  'fail',
  'scope',
  'parallel',
  'commit',
  'commit role',
  'stream',
  'ending',
])
const MAY_BE_CAUGHT = new Set<Action['do']>([
  ...MAY_BE_FORGOTTEN,
  'savepoint',
  'abort',
  'roll back role',
  'nested run',
  'own begin',
  'leave behind',
])

export class Dealer {
  readonly #random: Random
  readonly #frame: Frame
  #id = 0

  constructor(random: Random, frame: Frame) {
    this.#random = random
    this.#frame = frame
  }

  steps(count: number): Step[] {
    const steps = this.#list(count, { depth: 0, branch: false, nested: undefined })
    const chance = this.#frame.attempts > 1 ? 5 : 1
    if (this.#random.below(6) < chance) steps.push(this.#step({ do: 'throw', ...this.#error() }))
    return steps
  }

  #error() {
    const retries = this.#frame.attempts > 1
    const error = retries ? this.#random.pick(['transient', 'serialization'] as const) : 'plain'
    return { error, once: retries && this.#random.below(4) > 0 } as const
  }

  #list(count: number, place: Place): Step[] {
    const steps: Step[] = []
    while (steps.length < count) steps.push(...this.#some(this.#kind(place), place))
    return steps
  }

  #kind({ depth, branch, nested }: Place): Kind {
    const kinds = Object.entries(WEIGHTS).flatMap(([kind, { weight, where }]) =>
      where({ depth, branch, nested, frame: this.#frame }) ? Array.from({ length: weight }, () => kind as Kind) : [],
    )
    return this.#random.pick(kinds)
  }

  /** One step, or some that belong together. */
  #some(kind: Kind, place: Place): Step[] {
    if (kind === 'commit' || kind === 'abort') {
      const end = this.#step({ do: kind })
      return this.#random.below(4) > 0 && !place.branch ? [end, this.#step({ do: 'begin' })] : [end]
    }
    if (kind === 'scope' || kind === 'savepoint') {
      const mayLook = !place.branch && place.nested === undefined
      if (mayLook && this.#random.below(2) === 0) return this.#thereAndBack(kind, place)
      return [kind === 'scope' ? this.#scope(place) : this.#savepoint(place)]
    }
    return [this.#single(kind, place)]
  }

  #single(kind: Exclude<Kind, 'commit' | 'abort' | 'scope' | 'savepoint'>, place: Place): Step {
    const random = this.#random
    switch (kind) {
      case 'write':
        return this.#write(place)
      case 'flush':
      case 'load':
        return this.#step({ do: kind, role: this.#any(place) })
      case 'read':
        return this.#step({ do: kind, role: this.#any(place), how: random.pick(READS) })
      case 'fail':
        return this.#step({ do: kind, role: this.#writer(place), how: random.pick(FAILURES) })
      case 'own begin': {
        const steps = this.#list(1 + random.below(2), { ...place, depth: place.depth + 1 })
        const asks = this.#asks()
        return this.#step({ do: kind, role: this.#any(place), asks, steps, commits: random.below(3) > 0 })
      }
      case 'leave behind': {
        const role = place.nested === 'other' ? 'writer' : random.pick(leavable(this.#frame)).name
        return this.#step({ do: kind, role: this.#orReader(role, place), how: random.pick(LEFTOVERS) })
      }
      case 'ending': {
        const role = this.#any(place)
        return this.#step({ do: kind, role, how: random.pick(ENDINGS[this.#dialect(role)]) })
      }
      case 'compare':
        return this.#step({ do: kind, role: this.#writer(place), again: random.below(2) === 0 })
      case 'parallel': {
        const steps = this.#list(2 + random.below(2), { ...place, depth: place.depth + 1, branch: true })
        return this.#step({ do: kind, steps, join: random.pick(['all', 'allSettled'] as const) })
      }
      case 'doom':
      case 'veto':
      case 'leave':
        return this.#step({ do: kind })
      case 'commit role':
      case 'roll back role':
        return this.#step({ do: kind, role: this.#writer(place) })
      case 'kill':
        return this.#step({ do: kind, role: random.pick(this.#killable()).name })
      case 'hook': {
        const writes = random.below(2) === 0 ? { role: this.#writer(place) } : {}
        const when = random.pick(MOMENTS)
        return this.#step({ do: kind, when, ...(when.startsWith('before') ? writes : {}) })
      }
      case 'echo':
        return this.#step({ do: kind, on: this.#writer(place), role: this.#writer(place) })
      case 'join': {
        const creates = random.below(2) === 0 ? { creates: this.#writer(place) } : {}
        const throws = random.below(3) === 0 ? { throws: random.pick(['commit', 'tpcVote', 'tpcFinish'] as const) } : {}
        return this.#step({ do: kind, key: random.pick(['a', '~~']), ...creates, ...throws })
      }
      case 'nested run': {
        const registry = this.#mayNestTheSame() ? random.pick(['same', 'other'] as const) : 'other'
        const steps = this.#list(1 + random.below(3), { depth: place.depth + 1, branch: true, nested: registry })
        return this.#step({ do: kind, registry, steps })
      }
      case 'stream': {
        const how = random.pick(['to its end', 'abandoned', 'with a read inside'] as const)
        return this.#step({ do: kind, role: this.#any(place), how })
      }
      case 'body':
        return this.#step({ do: kind, role: 'reader', leaves: random.below(2) === 0 })
      case 'late branch': {
        const steps = this.#list(1 + random.below(2), { ...place, depth: DEEPEST, branch: true })
        return this.#step({ do: kind, steps })
      }
    }
  }

  #write(place: Place): Step {
    const random = this.#random
    if (random.below(4) === 0) return this.#hiddenWrite(place)
    const how = random.pick(WRITES)
    const shared =
      how === 'change' && !place.branch && random.below(3) > 0 ? { shared: random.below(SHARED_NOTES) } : {}
    const flush = random.below(2) === 0 && ['create', 'change', 'remove'].includes(how)
    const via = random.below(4) === 0 ? 'global' : 'session'
    return this.#step({ do: 'write', role: this.#any(place), how, via, flush, ...shared })
  }

  #hiddenWrite(place: Place): Step {
    const role = this.#orReader(this.#any(place), place)
    const how = this.#random.pick(HIDDEN_WRITES[this.#dialect(role)])
    return this.#step({ do: 'write', role, how, via: this.#random.below(6) === 0 ? 'global' : 'session', flush: false })
  }

  #asks(): Asked {
    const isolationLevel = this.#random.pick(['read committed', 'repeatable read', 'serializable'] as const)
    const choice = this.#random.below(4)
    if (choice === 0) return { isolationLevel, readOnly: true }
    return choice < 3 ? { isolationLevel } : { readOnly: true }
  }

  /** Entities that are loaded, changed in something that may be rolled back, and looked at again. */
  #thereAndBack(kind: 'scope' | 'savepoint', place: Place): Step[] {
    const role = this.#writer()
    const change = (shared: number): Step =>
      this.#step({ do: 'write', role, how: 'change', via: 'session', flush: this.#random.below(3) > 0, shared })
    const before = this.#random.below(3) > 0 ? [this.#step({ do: 'load', role })] : []
    const more = this.#random.below(2) === 0 ? this.#list(1, { ...place, depth: place.depth + 1 }) : []
    const steps = [change(this.#random.below(SHARED_NOTES)), ...more]
    const undone = this.#random.below(3) > 0
    const nested: Action =
      kind === 'scope' ? { do: 'scope', role, steps, throws: undone } : { do: 'savepoint', steps, rollback: undone }
    const again = this.#random.below(2) === 0
    const handling = undone && kind === 'scope' ? 'caught' : 'awaited'
    return [...before, { ...this.#step(nested), handling }, this.#step({ do: 'compare', role, again })]
  }

  #scope(place: Place): Step & { readonly do: 'scope' } {
    const steps = this.#list(1 + this.#random.below(3), { ...place, depth: place.depth + 1 })
    const throws = this.#random.below(3) === 0
    const asks = this.#random.below(3) === 0 ? { asks: this.#asks() } : {}
    const action = { do: 'scope', role: this.#writer(place), steps, throws, ...asks } as const
    return this.#step(action) as Step & { readonly do: 'scope' }
  }

  #savepoint(place: Place): Step & { readonly do: 'savepoint' } {
    const steps = this.#list(1 + this.#random.below(3), { ...place, depth: place.depth + 1 })
    const action = { do: 'savepoint', steps, rollback: this.#random.below(3) > 0 } as const
    return this.#step(action) as Step & { readonly do: 'savepoint' }
  }

  #step(action: Action): Step {
    return { id: ++this.#id, handling: this.#handling(action), ...action }
  }

  #handling(action: Action): Handling {
    const chance = this.#random.below(100)
    if (chance < 12 && MAY_BE_FORGOTTEN.has(action.do)) return 'forgotten'
    if (chance < 35 && MAY_BE_CAUGHT.has(action.do)) return 'caught'
    // What throws on purpose is mostly caught: otherwise few programs would come further.
    const throws = action.do === 'fail' || (action.do === 'scope' && action.throws)
    return throws && chance < 80 ? 'caught' : 'awaited'
  }

  /** Any role, mostly one that writes. */
  #any(place: Place): Slot {
    if (place.nested !== undefined || this.#random.below(6) > 0) return this.#writer(place)
    return this.#random.pick(this.#frame.roles).name
  }

  #writer({ nested }: Partial<Place> = {}): Slot {
    if (nested === 'other') return 'writer'
    return this.#random.pick(this.#frame.roles.filter(({ readOnly }) => readOnly === undefined)).name
  }

  /** In a third of the cases the role that only reads, where there is one. */
  #orReader(role: Slot, { nested }: Place): Slot {
    const reader = this.#frame.roles.find(({ readOnly }) => readOnly !== undefined)
    return nested === undefined && reader !== undefined && this.#random.below(3) === 0 ? reader.name : role
  }

  #dialect(slot: Slot): Dialect {
    return this.#frame.roles.find(({ name }) => name === slot)!.dialect
  }

  #killable(): Role[] {
    return killable(this.#frame)
  }

  /** On SQLite a run inside a unit would wait for that unit's connection. */
  #mayNestTheSame(): boolean {
    return this.#frame.roles.every(({ dialect }) => dialect === 'postgresql')
  }
}
