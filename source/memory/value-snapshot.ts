/** How something was, to be put back. An object keeps its identity and gets its contents back. */
export interface Memory {
  /** Puts the contents back; the answer is what to put where it was found. */
  recall(): unknown
  /** Whether `value` is what was found, and unchanged. */
  matches(value: unknown): boolean
}

/** What MikroORM defines on entities and embeddables for itself, and never changes. */
export const FIXED_KEYS: ReadonlySet<PropertyKey> = new Set(['__helper', '__gettersDefined'])

/** Whether to leave the contents of an object alone. Everything else is entered, however deep. */
export type IsLeft = (value: object) => boolean

/** Remembers a value with all it contains, as far as `isLeft` lets it. What occurs twice is remembered once. */
export function remember(value: unknown, isLeft: IsLeft): Memory {
  if (typeof value !== 'object' || value === null) return new AsIs(value)
  return new Remembering(isLeft).remember(value)
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
  readonly #isLeft: IsLeft
  readonly #seen = new Set<object>()

  constructor(isLeft: IsLeft) {
    this.#isLeft = isLeft
  }

  readonly remember = (value: unknown): Memory => {
    if (typeof value !== 'object' || value === null || this.#seen.has(value) || this.#isLeft(value)) {
      return new AsIs(value)
    }
    this.#seen.add(value)
    if (ArrayBuffer.isView(value)) return new CopyMemory(value, BYTES, [])
    if (value instanceof ArrayBuffer) return new CopyMemory(value, BUFFERS, [])
    if (value instanceof Date) return new CopyMemory(value, DATES, this.#partsOf(value, []))
    if (value instanceof Map) return new CopyMemory(value, MAPS, this.#partsOf(value, [...value].flat()))
    if (value instanceof Set) return new CopyMemory(value, SETS, this.#partsOf(value, [...value]))
    return new RecordMemory(value, this.remember)
  }

  /** What can change inside of an object that is restored by copying: its members, and its properties if it has any. */
  #partsOf(value: object, members: readonly unknown[]): Part[] {
    const parts = members
      .filter((member) => typeof member === 'object' && member !== null)
      .map((member): Part => [member, this.remember(member)])
    return Reflect.ownKeys(value).length === 0 ? parts : [...parts, [value, new RecordMemory(value, this.remember)]]
  }
}

type Part = readonly [value: unknown, memory: Memory]

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

class CopyMemory<T extends object, Copy> implements Memory {
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

  recall(): T {
    if (!this.#hasSameCopy()) this.#kind.write(this.#value, this.#copy)
    for (const [, memory] of this.#parts) memory.recall()
    return this.#value
  }

  matches(value: unknown): boolean {
    return value === this.#value && this.#hasSameCopy() && this.#parts.every(([part, memory]) => memory.matches(part))
  }

  #hasSameCopy(): boolean {
    return this.#kind.equal(this.#kind.copy(this.#value), this.#copy)
  }
}

/** An array, or an object by its own properties. */
class RecordMemory implements Memory {
  readonly #value: Record<PropertyKey, unknown>
  readonly #length: number | undefined
  readonly #keys: readonly PropertyKey[]
  readonly #values: readonly unknown[]
  /** Of those values that can change in place. */
  readonly #parts = new Map<number, Memory>()

  constructor(value: object, rememberPart: (part: unknown) => Memory) {
    this.#value = value as Record<PropertyKey, unknown>
    this.#length = Array.isArray(value) ? value.length : undefined
    this.#keys = keysOf(this.#value)
    this.#values = this.#keys.map((key) => this.#value[key])
    this.#values.forEach((part, index) => {
      if (typeof part === 'object' && part !== null) this.#parts.set(index, rememberPart(part))
    })
  }

  recall(): unknown {
    const value = this.#value
    if (!sameList(keysOf(value), this.#keys)) this.#removeLater()
    if (this.#length !== undefined) value['length'] = this.#length
    this.#keys.forEach((key, index) => {
      const part = this.#parts.get(index)
      const then = part === undefined ? this.#values[index] : part.recall()
      // What is frozen or has no setter still is what it was, or the entity's stored values show that it is not.
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

  /** JSON is compared as text by some databases. */
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

/** Whether both have the same members in the same order. */
export function sameList(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && one.every((value, index) => Object.is(value, other[index]))
}

/** Classes whose contents are wholly seen from outside. */
const OPEN = new Set<unknown>(
  [Object, Array, Date, Map, Set, ArrayBuffer, Buffer, DataView].map(({ prototype }) => prototype),
)

/** Whether an object is of a class of the program's. */
export function isOfOwnClass(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype !== null && !OPEN.has(prototype) && !ArrayBuffer.isView(value)
}

/** Whether an object may keep something where only its own methods and accessors reach. */
export function mayHide(value: object): boolean {
  if (isOfOwnClass(value) && !isOpen(Object.getPrototypeOf(value) as object)) return true
  return !Array.isArray(value) && hasAccessor(value)
}

const open = new WeakMap<object, boolean>()

/** Whether objects have no method or accessor by which something hidden could be seen. */
function isOpen(prototype: object): boolean {
  let known = open.get(prototype)
  if (known === undefined) {
    const parent = Object.getPrototypeOf(prototype) as object | null
    const names = Reflect.ownKeys(prototype).filter((name) => !isOfMikroOrm(prototype, name))
    known = OPEN.has(prototype) || (names.length === 0 && (parent === null || isOpen(parent)))
    open.set(prototype, known)
  }
  return known
}

/** What every class has, and what MikroORM defines on embeddables: none of it is asked when they are stored. */
function isOfMikroOrm(prototype: object, name: PropertyKey): boolean {
  if (name === 'constructor') return true
  if (!Object.hasOwn(prototype, '__meta')) return false
  return typeof name === 'symbol' || String(name).startsWith('__') || name === 'toJSON'
}

function hasAccessor(value: object): boolean {
  if (ArrayBuffer.isView(value)) return false
  return Object.keys(value).some((key) => Object.getOwnPropertyDescriptor(value, key)?.get !== undefined)
}

function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index])
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
}
