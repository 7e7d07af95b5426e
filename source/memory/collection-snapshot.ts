import { Collection, ScalarReference, type EntityProperty } from '@mikro-orm/core'
import { latest } from './replace-in-place.ts'
import { sameList, type ValueSnapshot } from './value-snapshot.ts'

// session-snapshot.ts lists the parts of MikroORM that this room relies on.

/** A collection, with its items and those that a flush compares them with. */
export class CollectionSnapshot implements ValueSnapshot {
  readonly #collection: Collection<object>
  readonly #property: EntityProperty
  readonly #items: readonly object[]
  /** The items that a flush compares the collection with; undefined if it was set without having been loaded. */
  readonly #baseline: readonly object[] | undefined
  readonly #isInitialized: boolean
  readonly #isDirty: boolean
  readonly #isPartial: boolean
  readonly #isReadOnly: boolean

  constructor(collection: Collection<object>, property: EntityProperty) {
    this.#collection = latest(collection)
    this.#property = property
    this.#items = collection.getItems(false)
    this.#baseline = collection.getSnapshot()
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
      sameOptional(collection.getSnapshot(), this.#baseline)
    )
  }

  restore(): Collection<object> {
    const collection = latest(this.#collection)
    if (this.matches(collection)) return collection
    const target = this.#baseline === undefined ? this.#overwritten() : this.#withBaseline(collection, this.#baseline)
    fill(target, this.#items)
    target.setDirty(this.#isDirty)
    return target
  }

  #withBaseline(collection: Collection<object>, baseline: readonly object[]): Collection<object> {
    const target = this.#emptied(collection)
    fill(target, baseline)
    takeSnapshot(target, this.#property)
    const items = new Set(this.#items)
    for (const item of baseline) if (!items.has(item)) target.removeWithoutPropagation(item)
    return target
  }

  /** Empties the collection, or makes a new one where the old state cannot be reached. */
  #emptied(collection: Collection<object>): Collection<object> {
    const isReusable = collection.isInitialized() === this.#isInitialized && !isReadOnly(collection)
    const target = isReusable ? collection : this.#unloaded()
    if (this.#isInitialized) target.hydrate([], false, this.#isPartial, this.#isReadOnly)
    else for (const item of target.getItems(false)) target.removeWithoutPropagation(item)
    return target
  }

  /** Makes a collection that replaces all rows of its table by its items. */
  #overwritten(): Collection<object> {
    const collection = this.#unloaded()
    collection.removeAll()
    return collection
  }

  #unloaded(): Collection<object> {
    return unloaded(this.#collection.owner, this.#property)
  }
}

/** A lazy scalar, with its wrapper. */
export class ScalarReferenceSnapshot implements ValueSnapshot {
  readonly #reference: ScalarReference<unknown>
  readonly #entity: object
  readonly #name: string
  readonly #value: ValueSnapshot
  readonly #isInitialized: boolean

  constructor(reference: ScalarReference<unknown>, entity: object, name: string, value: ValueSnapshot) {
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

  restore(): ScalarReference<unknown> {
    const reference = latest(this.#reference)
    if (this.matches(reference)) return reference
    const target = reference.isInitialized() === this.#isInitialized ? reference : new ScalarReference<unknown>()
    const value = this.#value.restore()
    if (this.#isInitialized) target.set(value)
    target.bind(this.#entity as never, this.#name as never)
    return target
  }
}

/** Makes a collection that is still to be loaded. */
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

/** Whether a collection refuses changes, as one does in which matching() stored its result. */
function isReadOnly(collection: Collection<object>): boolean {
  try {
    collection.add([])
    return false
  } catch {
    return true
  }
}

/** Makes a collection take its snapshot. The snapshot of an owning one would change the other side too. */
function takeSnapshot(collection: Collection<object>, property: EntityProperty): void {
  collection.property = Object.create(property, { owner: { value: false } }) as never
  collection.takeSnapshot()
  collection.property = property as never
}

function sameOptional(one: readonly unknown[] | undefined, other: readonly unknown[] | undefined): boolean {
  return one === undefined || other === undefined ? one === other : sameList(one, other)
}
