import { FIXED_KEYS } from './wrapped-entity.ts'

/** How a value was, to be restored. An object keeps its identity and gets its contents back. */
export interface ValueSnapshot {
  /** Puts the contents back, and returns the value to put where the snapshot found it. */
  restore(): unknown
  /** Whether `value` is the one of the snapshot, and unchanged. */
  matches(value: unknown): boolean
}

/** Whether to keep an object by reference alone. Of every other object a snapshot holds the contents, however deep. */
export type IsByReference = (value: object) => boolean

/** Takes a snapshot of a value with all it contains. An object that occurs twice is copied once. */
export function snapshotOf(value: unknown, isByReference: IsByReference): ValueSnapshot {
  if (typeof value !== 'object' || value === null) return new ReferenceSnapshot(value)
  return new Traversal(isByReference).snapshotOf(value)
}

/** Takes a snapshot of a value whose contents cannot change, or do not matter. */
export function snapshotByReference(value: unknown): ValueSnapshot {
  return new ReferenceSnapshot(value)
}

class ReferenceSnapshot implements ValueSnapshot {
  readonly #value: unknown

  constructor(value: unknown) {
    this.#value = value
  }

  restore(): unknown {
    return this.#value
  }

  matches(value: unknown): boolean {
    return Object.is(value, this.#value)
  }
}

/** Walks through the contents of one value; circles end where they began. */
class Traversal {
  readonly #isByReference: IsByReference
  readonly #seen = new Set<object>()

  constructor(isByReference: IsByReference) {
    this.#isByReference = isByReference
  }

  readonly snapshotOf = (value: unknown): ValueSnapshot => {
    if (typeof value !== 'object' || value === null || this.#seen.has(value) || this.#isByReference(value)) {
      return new ReferenceSnapshot(value)
    }
    this.#seen.add(value)
    if (ArrayBuffer.isView(value)) return new CopySnapshot(value, BYTES, [])
    if (value instanceof ArrayBuffer) return new CopySnapshot(value, BUFFERS, [])
    if (value instanceof Date) return new CopySnapshot(value, DATES, this.#partsOf(value, []))
    if (value instanceof Map) return new CopySnapshot(value, MAPS, this.#partsOf(value, [...value].flat()))
    if (value instanceof Set) return new CopySnapshot(value, SETS, this.#partsOf(value, [...value]))
    return new RecordSnapshot(value, this.snapshotOf)
  }

  /** Lists what can change inside an object restored by copying: its members and its properties. */
  #partsOf(value: object, members: readonly unknown[]): Part[] {
    const parts = members
      .filter((member) => typeof member === 'object' && member !== null)
      .map((member): Part => [member, this.snapshotOf(member)])
    return Reflect.ownKeys(value).length === 0 ? parts : [...parts, [value, new RecordSnapshot(value, this.snapshotOf)]]
  }
}

type Part = readonly [value: unknown, snapshot: ValueSnapshot]

/** How to copy the contents of one kind of object, compare two copies, and write one back. */
interface Kind<T, Copy> {
  copy(value: T): Copy
  equal(one: Copy, other: Copy): boolean
  write(value: T, copy: Copy): void
}

const DATES: Kind<Date, number> = {
  copy: (date) => date.getTime(),
  equal: Object.is,
  write: (date, time) => void date.setTime(time),
}
const BYTES: Kind<ArrayBufferView, Uint8Array> = {
  copy: (view) => bytesOf(view).slice(),
  equal: sameBytes,
  write: (view, bytes) => bytesOf(view).set(bytes),
}
const BUFFERS: Kind<ArrayBuffer, Uint8Array> = {
  copy: (buffer) => new Uint8Array(buffer).slice(),
  equal: sameBytes,
  write: (buffer, bytes) => new Uint8Array(buffer).set(bytes),
}
const MAPS: Kind<Map<unknown, unknown>, [unknown, unknown][]> = {
  copy: (map) => [...map],
  equal: (one, other) => sameList(one.flat(), other.flat()),
  write(map, entries) {
    map.clear()
    for (const [key, value] of entries) map.set(key, value)
  },
}
const SETS: Kind<Set<unknown>, unknown[]> = {
  copy: (set) => [...set],
  equal: sameList,
  write(set, values) {
    set.clear()
    for (const value of values) set.add(value)
  },
}

class CopySnapshot<T extends object, Copy> implements ValueSnapshot {
  readonly #value: T
  readonly #kind: Kind<T, Copy>
  readonly #copy: Copy
  readonly #parts: readonly Part[]

  constructor(value: T, kind: Kind<T, Copy>, parts: readonly Part[]) {
    this.#value = value
    this.#kind = kind
    this.#copy = kind.copy(value)
    this.#parts = parts
  }

  restore(): T {
    if (!this.#hasSameCopy()) this.#kind.write(this.#value, this.#copy)
    for (const [, snapshot] of this.#parts) snapshot.restore()
    return this.#value
  }

  matches(value: unknown): boolean {
    return (
      value === this.#value && this.#hasSameCopy() && this.#parts.every(([part, snapshot]) => snapshot.matches(part))
    )
  }

  #hasSameCopy(): boolean {
    return this.#kind.equal(this.#kind.copy(this.#value), this.#copy)
  }
}

/** An array, or an object by its own properties. */
class RecordSnapshot implements ValueSnapshot {
  readonly #value: Record<PropertyKey, unknown>
  readonly #length: number | undefined
  readonly #keys: readonly PropertyKey[]
  readonly #values: readonly unknown[]
  /** Snapshots of the values that can change in place, by their index. */
  readonly #parts = new Map<number, ValueSnapshot>()

  constructor(value: object, snapshotOfPart: (part: unknown) => ValueSnapshot) {
    this.#value = value as Record<PropertyKey, unknown>
    this.#length = Array.isArray(value) ? value.length : undefined
    this.#keys = keysOf(this.#value)
    this.#values = this.#keys.map((key) => this.#value[key])
    this.#values.forEach((part, index) => {
      if (typeof part === 'object' && part !== null) this.#parts.set(index, snapshotOfPart(part))
    })
  }

  restore(): unknown {
    const value = this.#value
    if (!sameList(keysOf(value), this.#keys)) this.#removeLater()
    if (this.#length !== undefined) value['length'] = this.#length
    this.#keys.forEach((key, index) => {
      const part = this.#parts.get(index)
      const then = part === undefined ? this.#values[index] : part.restore()
      // Frozen values and accessors without setter cannot be written. The stored values of the entity show a difference.
      if (!Object.is(value[key], then) || !Object.hasOwn(value, key)) Reflect.set(value, key, then)
    })
    this.#restoreOrder()
    return value
  }

  matches(value: unknown): boolean {
    return (
      value === this.#value &&
      (this.#length === undefined || this.#value['length'] === this.#length) &&
      sameList(keysOf(this.#value), this.#keys) &&
      this.#keys.every((key, index) => {
        const now = this.#value[key]
        return this.#parts.get(index)?.matches(now) ?? Object.is(now, this.#values[index])
      })
    )
  }

  #removeLater(): void {
    const known = new Set(this.#keys)
    for (const key of keysOf(this.#value)) if (!known.has(key)) Reflect.deleteProperty(this.#value, key)
  }

  /** Puts properties into their old order: some databases compare JSON as text. */
  #restoreOrder(): void {
    if (this.#length !== undefined || sameList(keysOf(this.#value), this.#keys)) return
    for (const key of this.#keys) {
      const descriptor = Object.getOwnPropertyDescriptor(this.#value, key)
      if (descriptor?.configurable === true && Reflect.deleteProperty(this.#value, key)) {
        Object.defineProperty(this.#value, key, descriptor)
      }
    }
  }
}

function keysOf(value: object): PropertyKey[] {
  if (Array.isArray(value)) return Object.keys(value)
  const keys = Reflect.ownKeys(value)
  return keys.includes('__helper') ? keys.filter((key) => !FIXED_KEYS.has(key)) : keys
}

/** Whether both lists have the same members in the same order. */
export function sameList(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && one.every((value, index) => Object.is(value, other[index]))
}

function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index])
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
}
