import { ReferenceKind, type EntityComparator, type EntityProperty } from '@mikro-orm/core'
import { accessorsOf, keysOf, removeLater, restoreOwn, track, valueOf } from './own-properties.ts'
import { isObject, snapshotOfProperty, type OpaqueProperties } from './property-snapshot.ts'
import { replaceInPlace } from './replace-in-place.ts'
import { sameList, type ValueSnapshot } from './value-snapshot.ts'
import { copyOfContext, helperOf, type Entity, type SerializationContext, type Wrapped } from './wrapped-entity.ts'

// session-snapshot.ts lists the parts of MikroORM that this room relies on.

/** The fields of an entity's helper that are restored, or deleted if they were absent. */
const FIELDS = [
  '__initialized',
  '__managed',
  '__em',
  '__schema',
  '__pk',
  '__identifier',
  '__reference',
  '__populated',
  '__onLoadFired',
] as const

/** Stands for a field that the helper does not have. */
const ABSENT = Symbol('absent')
const NONE: ReadonlyMap<PropertyKey, unknown> = new Map()

/** One entity with its helper, collections, embeddables and other values that can be changed in place. */
export class EntitySnapshot {
  readonly entity: Entity
  readonly #comparator: EntityComparator
  readonly #keys: readonly PropertyKey[]
  /** Own properties that hold a value; all others are accessors of `__data`. */
  readonly #own = new Map<PropertyKey, { readonly descriptor: PropertyDescriptor; readonly snapshot: ValueSnapshot }>()
  readonly #data: Readonly<Record<string, unknown>>
  /** Snapshots of the data that can change in place. */
  readonly #parts = new Map<string, ValueSnapshot>()
  /** Properties that only the accessors of a class reach. */
  readonly #hidden: ReadonlyMap<string, ValueSnapshot>
  readonly #fields: readonly unknown[]
  readonly #originalData: Record<string, unknown> | undefined
  readonly #loadedProperties: readonly string[]
  readonly #serializationContext: SerializationContext
  readonly #opaque: OpaqueProperties = new Map()
  /** The values that a flush would have stored, where an object may hide something. */
  readonly #stored: object | undefined

  /** `instead` holds collections to take in place of those that the entity has. */
  constructor(entity: Entity, comparator: EntityComparator, instead: ReadonlyMap<PropertyKey, unknown> = NONE) {
    const wrapped = helperOf(entity)
    this.entity = entity
    this.#comparator = comparator
    this.#data = { ...wrapped.__data }
    this.#keys = keysOf(entity)
    for (const key of this.#keys) if (!this.#isTracked(key) || instead.has(key)) this.#takeOwn(key, instead)
    for (const key of Object.keys(this.#data)) {
      const value = this.#data[key]
      if (isObject(value)) this.#parts.set(key, this.#snapshotOf(key, value))
    }
    this.#hidden = mapOf(this.#namesOfHidden(), (name) => this.#snapshotOf(name, entity[name]))
    this.#fields = FIELDS.map((name) => fieldOf(wrapped, name))
    this.#originalData = copyOf(wrapped.__originalEntityData)
    this.#loadedProperties = [...wrapped.__loadedProperties]
    this.#serializationContext = copyOfContext(wrapped.__serializationContext)
    if (this.#opaque.size > 0) this.#stored = comparator.prepareEntity(entity)
  }

  isCurrent(): boolean {
    const wrapped = helperOf(this.entity)
    return (
      sameList(keysOf(this.entity), this.#keys) &&
      [...this.#own].every(([key, { snapshot }]) => snapshot.matches(valueOf(this.entity, key))) &&
      this.#hasSameData(wrapped.__data) &&
      [...this.#hidden].every(([name, snapshot]) => snapshot.matches(this.entity[name])) &&
      FIELDS.every((name, index) => Object.is(fieldOf(wrapped, name), this.#fields[index])) &&
      sameRecord(wrapped.__originalEntityData, this.#originalData) &&
      sameList([...wrapped.__loadedProperties], this.#loadedProperties) &&
      sameContext(wrapped.__serializationContext, this.#serializationContext) &&
      this.unrestored().length === 0
    )
  }

  /** Lists the properties that hold the same object with other contents, which a restore does not reach. */
  unrestored(): string[] {
    if (this.#stored === undefined) return []
    const now = this.#comparator.prepareEntity(this.entity)
    const changed = this.#comparator.diffEntities(helperOf(this.entity).__meta.class, this.#stored, now)
    return [...this.#opaque]
      .filter(([name, { value }]) => this.entity[name] === value)
      .filter(([, { property }]) => columnsOf(property).some((name) => Object.hasOwn(changed, name)))
      .map(([name]) => name)
  }

  restore(): void {
    const wrapped = helperOf(this.entity)
    this.#restoreOwn(wrapped)
    for (const [name, snapshot] of this.#hidden) {
      if (!snapshot.matches(this.entity[name])) this.entity[name] = snapshot.restore()
    }
    FIELDS.forEach((name, index) => {
      if (this.#fields[index] === ABSENT) Reflect.deleteProperty(wrapped, name)
      else wrapped[name] = this.#fields[index]
    })
    if (this.#originalData === undefined) {
      Reflect.deleteProperty(wrapped, '__originalEntityData')
      // A placeholder for a generated primary key would still have the key that the database made.
      Reflect.deleteProperty(wrapped, '__identifier')
    } else wrapped.__originalEntityData = { ...this.#originalData }
    wrapped.__loadedProperties = new Set(this.#loadedProperties)
    wrapped.__serializationContext = copyOfContext(this.#serializationContext)
    wrapped['__processing'] = false
  }

  #restoreOwn(wrapped: Wrapped): void {
    const entity = this.entity
    const present = wrapped.__data
    wrapped.__data = { ...this.#data }
    for (const [key, snapshot] of this.#parts) wrapped.__data[key] = replaceInPlace(present[key], snapshot.restore())
    for (const key of keysOf(entity)) if (!this.#keys.includes(key)) removeLater(entity, key)
    for (const key of this.#keys) {
      const own = this.#own.get(key)
      if (own === undefined) track(entity, key as string)
      else restoreOwn(entity, key, own.descriptor, own.snapshot)
    }
  }

  #hasSameData(data: Record<string, unknown>): boolean {
    const keys = Object.keys(data)
    return (
      keys.length === Object.keys(this.#data).length &&
      keys.every((key) => this.#parts.get(key)?.matches(data[key]) ?? Object.is(data[key], this.#data[key]))
    )
  }

  /** Whether a property of the entity is an accessor of `__data`. */
  #isTracked(key: PropertyKey): boolean {
    return typeof key === 'string' && Object.hasOwn(this.#data, key) && this.entity[key] === this.#data[key]
  }

  #takeOwn(key: PropertyKey, instead: ReadonlyMap<PropertyKey, unknown>): void {
    const descriptor = Object.getOwnPropertyDescriptor(this.entity, key) as PropertyDescriptor
    const value = instead.has(key) ? instead.get(key) : descriptor.value
    this.#own.set(key, { descriptor, snapshot: this.#snapshotOf(key, value) })
  }

  #snapshotOf(key: PropertyKey, value: unknown): ValueSnapshot {
    return snapshotOfProperty(this.entity, key, value, this.#opaque)
  }

  #namesOfHidden(): readonly string[] {
    const names = accessorsOf(this.entity)
    if (names.length === 0) return names
    return names.filter((name) => !this.#keys.includes(name) && !Object.hasOwn(this.#data, name))
  }
}

function fieldOf(wrapped: Wrapped, name: (typeof FIELDS)[number]): unknown {
  return Object.hasOwn(wrapped, name) ? wrapped[name] : ABSENT
}

/** Lists the names by which MikroORM compares a property: an embeddable with columns of its own has several. */
function columnsOf({ kind, object, array, name, embeddedProps }: EntityProperty): string[] {
  if (kind !== ReferenceKind.EMBEDDED || object === true || array === true) return [name]
  return Object.values(embeddedProps).flatMap((property) => columnsOf(property))
}

function copyOf<T extends object>(record: T | undefined): T | undefined {
  return record === undefined ? undefined : { ...record }
}

/** Compares two contexts. MikroORM replaces their lists and changes only the set in place. */
function sameContext(one: SerializationContext, other: SerializationContext): boolean {
  return (
    sameRecord({ ...one, fields: undefined }, { ...other, fields: undefined }) &&
    sameList([...(one.fields ?? [])], [...(other.fields ?? [])])
  )
}

function sameRecord(one: Record<string, unknown> | undefined, other: Record<string, unknown> | undefined): boolean {
  if (one === undefined || other === undefined) return one === other
  const keys = Object.keys(one)
  return keys.length === Object.keys(other).length && keys.every((key) => Object.is(one[key], other[key]))
}

function mapOf<K extends PropertyKey, V>(keys: readonly K[], value: (key: K) => V): Map<K, V> {
  return new Map(keys.map((key) => [key, value(key)]))
}
