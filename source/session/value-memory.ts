/** How something was, to be put back. An object keeps its identity and gets its contents back. */
export interface Memory {
  /** Puts the contents back; the answer is what to put where it was found. */
  recall(): unknown
  /** Whether `value` is what was found, and unchanged. */
  matches(value: unknown): boolean
}

/**
 * What to do with an object: `leave` its contents alone, `enter` them however deep, or neither: plain objects and arrays
 * are entered, and an object of a class is, though not the objects of classes inside of it.
 */
export type Attitude = (value: object) => 'leave' | 'enter' | undefined

/** Remembers a value with all it contains, as far as `attitude` lets it. What occurs twice is remembered once. */
export function remember(value: unknown, attitude: Attitude): Memory {
  if (typeof value !== 'object' || value === null) return new AsIs(value)
  return new Remembering(attitude).remember(value, false)
}

/** Remembers a value whose contents cannot change, or do not matter. */
export function rememberAsIs(value: unknown): Memory {
  return new AsIs(value)
}

class AsIs implements Memory {
  readonly #value: unknown

  constructor(value: unknown) {
    this.#value = value
  }

  recall(): unknown {
    return this.#value
  }

  matches(value: unknown): boolean {
    return Object.is(value, this.#value)
  }
}

class Remembering {
  readonly #attitude: Attitude
  readonly #seen = new Set<object>()

  constructor(attitude: Attitude) {
    this.#attitude = attitude
  }

  remember(value: unknown, isInsideInstance: boolean): Memory {
    if (typeof value !== 'object' || value === null || this.#seen.has(value)) return new AsIs(value)
    const attitude = this.#attitude(value)
    if (attitude === 'leave') return new AsIs(value)
    this.#seen.add(value)
    if (value instanceof Date) return new CopyMemory(value, DATES)
    if (ArrayBuffer.isView(value)) return new CopyMemory(value, BYTES)
    if (value instanceof Map) return new CopyMemory(value, MAPS)
    if (value instanceof Set) return new CopyMemory(value, SETS)
    const isInstance = attitude === undefined && !isPlain(value)
    if (isInstance && isInsideInstance) return new AsIs(value)
    return new RecordMemory(value, (child) => this.remember(child, isInsideInstance || isInstance))
  }
}

/** How to copy the contents of one kind of object, compare them and put them back. */
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
  equal: (one, other) => one.length === other.length && one.every((byte, index) => byte === other[index]),
  write: (view, bytes) => bytesOf(view).set(bytes),
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

class CopyMemory<T, Copy> implements Memory {
  readonly #value: T
  readonly #kind: Kind<T, Copy>
  readonly #copy: Copy

  constructor(value: T, kind: Kind<T, Copy>) {
    this.#value = value
    this.#kind = kind
    this.#copy = kind.copy(value)
  }

  recall(): T {
    if (!this.matches(this.#value)) this.#kind.write(this.#value, this.#copy)
    return this.#value
  }

  matches(value: unknown): boolean {
    return value === this.#value && this.#kind.equal(this.#kind.copy(this.#value), this.#copy)
  }
}

/** An array, or an object by its own enumerable properties. */
class RecordMemory implements Memory {
  readonly #value: Record<string, unknown>
  readonly #length: number | undefined
  readonly #parts: Map<string, Memory>

  constructor(value: object, rememberPart: (part: unknown) => Memory) {
    this.#value = value as Record<string, unknown>
    this.#length = Array.isArray(value) ? value.length : undefined
    this.#parts = new Map(Object.entries(value).map(([key, part]) => [key, rememberPart(part)]))
  }

  recall(): unknown {
    for (const key of Object.keys(this.#value)) {
      if (!this.#parts.has(key)) Reflect.deleteProperty(this.#value, key)
    }
    if (this.#length !== undefined) this.#value['length'] = this.#length
    for (const [key, part] of this.#parts) {
      const then = part.recall()
      // What is frozen or has no setter still is what it was.
      if (!Object.is(this.#value[key], then)) Reflect.set(this.#value, key, then)
    }
    return this.#value
  }

  matches(value: unknown): boolean {
    if (value !== this.#value) return false
    const keys = Object.keys(this.#value)
    return keys.length === this.#parts.size && keys.every((key) => this.#parts.get(key)?.matches(this.#value[key]))
  }
}

/** Whether both have the same members in the same order. */
export function sameList(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && one.every((value, index) => Object.is(value, other[index]))
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype || Array.isArray(value)
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
}
