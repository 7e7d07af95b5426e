import { Collection, ScalarReference, type EntityProperty } from '@mikro-orm/core'
import { sameList, type Memory } from './value-snapshot.ts'

// identity-map-snapshot.ts lists what it relies on.

/** A collection, with its items and what a flush compares them with. */
export class CollectionMemory implements Memory {
  readonly #collection: Collection<object>
  readonly #property: EntityProperty
  readonly #items: readonly object[]
  /** The items it is compared with by a flush; none when it was set without having been loaded. */
  readonly #snapshot: readonly object[] | undefined
  readonly #isInitialized: boolean
  readonly #isDirty: boolean
  readonly #isPartial: boolean
  readonly #isReadOnly: boolean

  constructor(collection: Collection<object>, property: EntityProperty) {
    this.#collection = latest(collection)
    this.#property = property
    this.#items = collection.getItems(false)
    this.#snapshot = collection.getSnapshot()
    this.#isInitialized = collection.isInitialized()
    this.#isDirty = collection.isDirty()
    this.#isPartial = collection.isPartial()
    this.#isReadOnly = isReadOnly(collection)
  }

  matches(value: unknown): boolean {
    const collection = latest(this.#collection)
    return (
      value === collection &&
      collection.isInitialized() === this.#isInitialized &&
      collection.isDirty() === this.#isDirty &&
      collection.isPartial() === this.#isPartial &&
      isReadOnly(collection) === this.#isReadOnly &&
      sameList(collection.getItems(false), this.#items) &&
      sameOptional(collection.getSnapshot(), this.#snapshot)
    )
  }

  recall(): Collection<object> {
    const collection = latest(this.#collection)
    if (this.matches(collection)) return collection
    const target = this.#snapshot === undefined ? this.#overwritten() : this.#withSnapshot(collection, this.#snapshot)
    fill(target, this.#items)
    target.setDirty(this.#isDirty)
    return target
  }

  #withSnapshot(collection: Collection<object>, snapshot: readonly object[]): Collection<object> {
    const target = this.#emptied(collection)
    fill(target, snapshot)
    takeSnapshot(target, this.#property)
    const items = new Set(this.#items)
    for (const item of snapshot) if (!items.has(item)) target.removeWithoutPropagation(item)
    return target
  }

  /** The collection without items, or a new one where it cannot become what it was. */
  #emptied(collection: Collection<object>): Collection<object> {
    const isReusable = collection.isInitialized() === this.#isInitialized && !isReadOnly(collection)
    const target = isReusable ? collection : this.#unloaded()
    if (this.#isInitialized) target.hydrate([], false, this.#isPartial, this.#isReadOnly)
    else for (const item of target.getItems(false)) target.removeWithoutPropagation(item)
    return target
  }

  #overwritten(): Collection<object> {
    const collection = this.#unloaded()
    collection.removeAll()
    return collection
  }

  #unloaded(): Collection<object> {
    return unloaded(this.#collection.owner, this.#property)
  }
}

/** A lazy scalar in its wrapper. */
export class ScalarReferenceMemory implements Memory {
  readonly #reference: ScalarReference<unknown>
  readonly #entity: object
  readonly #name: string
  readonly #value: Memory
  readonly #isInitialized: boolean

  constructor(reference: ScalarReference<unknown>, entity: object, name: string, value: Memory) {
    this.#reference = latest(reference)
    this.#entity = entity
    this.#name = name
    this.#value = value
    this.#isInitialized = reference.isInitialized()
  }

  matches(value: unknown): boolean {
    const reference = latest(this.#reference)
    return (
      value === reference &&
      reference.isInitialized() === this.#isInitialized &&
      this.#value.matches(reference.unwrap())
    )
  }

  recall(): ScalarReference<unknown> {
    const reference = latest(this.#reference)
    if (this.matches(reference)) return reference
    const target = reference.isInitialized() === this.#isInitialized ? reference : new ScalarReference<unknown>()
    const value = this.#value.recall()
    if (this.#isInitialized) target.set(value)
    target.bind(this.#entity as never, this.#name as never)
    return target
  }
}

/** Objects that had to be replaced, with what replaced them. */
const successors = new WeakMap<object, object>()

function latest<T extends object>(value: T): T {
  let last: object = value
  for (let next = successors.get(last); next !== undefined; next = successors.get(last)) last = next
  return last as T
}

/**
 * Gives back `then`, which takes the place of `now`. Whoever still holds a replaced collection or lazy scalar reaches the
 * new one through it: what they add to it would be lost otherwise, without a word.
 */
export function inPlaceOf(now: unknown, then: unknown): unknown {
  if (now === then || !isReplaceable(now) || !isReplaceable(then)) return then
  successors.set(now, then)
  for (const key of Object.getOwnPropertyNames(now)) if (key !== 'owner') Reflect.deleteProperty(now, key)
  Object.setPrototypeOf(
    now,
    new Proxy(then, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key)
        return typeof value === 'function' && key !== 'constructor' ? value.bind(target) : value
      },
      set: (target, key, value) => Reflect.set(target, key, value),
    }),
  )
  return then
}

function isReplaceable(value: unknown): value is object {
  return Collection.isCollection(value) || ScalarReference.isScalarReference(value)
}

/** A collection that is still to be loaded. */
export function unloaded(owner: object, property: EntityProperty): Collection<object> {
  const collection = new Collection<object>(owner, undefined, false)
  collection.property = property as never
  return collection
}

/** Whether a collection is neither loaded nor changed. */
export function isUntouched(collection: Collection<object>): boolean {
  return !collection.isInitialized() && !collection.isDirty() && collection.getItems(false).length === 0
}

function fill(collection: Collection<object>, items: readonly object[]): void {
  for (const item of items) collection.addWithoutPropagation(item)
}

/** Whether what matching() found was stored in it. */
function isReadOnly(collection: Collection<object>): boolean {
  try {
    collection.add([])
    return false
  } catch {
    return true
  }
}

/** Left to itself, an owning collection makes the other side take its snapshot too. */
function takeSnapshot(collection: Collection<object>, property: EntityProperty): void {
  collection.property = Object.create(property, { owner: { value: false } }) as never
  collection.takeSnapshot()
  collection.property = property as never
}

function sameOptional(one: readonly unknown[] | undefined, other: readonly unknown[] | undefined): boolean {
  return one === undefined || other === undefined ? one === other : sameList(one, other)
}
