import { EventEmitter } from 'node:events'
import {
  Collection,
  EntityManager,
  helper,
  Reference,
  ReferenceKind,
  ScalarReference,
  type AnyEntity,
  type EntityComparator,
  type EntityMetadata,
  type EntityProperty,
} from '@mikro-orm/core'
import { CollectionMemory, inPlaceOf, isUntouched, ScalarReferenceMemory, unloaded } from './replaceable-memory.ts'
import { FIXED_KEYS, mayHide, remember, rememberAsIs, sameList, type IsLeft, type Memory } from './value-memory.ts'

// What it relies on is told in identity-map-snapshot.ts.

/** An entity, by its properties. */
export type Entity = AnyEntity & Record<PropertyKey, unknown>
type Wrapped = Record<string, unknown> & {
  __meta: EntityMetadata
  __data: Record<string, unknown>
  __originalEntityData?: Record<string, unknown>
  __loadedProperties: Set<string>
  __serializationContext: Record<string, unknown> & { populate?: unknown[]; exclude?: unknown[]; fields?: Set<string> }
}

/** The fields of an entity's helper that are put back as they were, or taken away again. */
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

/** One entity with its helper, collections, embeddables and other values that can be changed in place. */
export class EntityMemory {
  readonly entity: Entity
  readonly #own = new Map<PropertyKey, { readonly descriptor: PropertyDescriptor; readonly memory: Memory }>()
  readonly #data: Map<string, Memory>
  /** Properties that only the accessors of a class reach. */
  readonly #hidden: Map<string, Memory>
  readonly #fields: ReadonlyMap<string, unknown>
  readonly #originalData: Record<string, unknown> | undefined
  readonly #loadedProperties: ReadonlySet<string>
  readonly #serializationContext: Wrapped['__serializationContext']
  readonly #comparator: EntityComparator
  /** Stored properties with an object of a class, which may hide what it holds. */
  readonly #opaque = new Map<string, { readonly property: EntityProperty; readonly value: unknown }>()
  /** What a flush would have stored, where something may be hidden. */
  readonly #stored: object | undefined

  /** `instead` are collections to remember in place of those that the entity has. */
  constructor(entity: Entity, comparator: EntityComparator, instead: ReadonlyMap<PropertyKey, unknown> = new Map()) {
    const wrapped = helperOf(entity)
    this.entity = entity
    this.#comparator = comparator
    for (const key of Reflect.ownKeys(entity)) {
      const descriptor = Object.getOwnPropertyDescriptor(entity, key)
      if (descriptor === undefined || FIXED_KEYS.has(key)) continue
      const value = instead.has(key) ? instead.get(key) : descriptor.value
      this.#own.set(key, { descriptor, memory: this.#memoryOf(key, value) })
    }
    this.#data = mapOf(Object.keys(wrapped.__data), (key) => this.#memoryOf(key, wrapped.__data[key]))
    this.#hidden = mapOf(this.#namesOfHidden(), (name) => this.#memoryOf(name, entity[name]))
    this.#fields = mapOf(
      FIELDS.filter((name) => Object.hasOwn(wrapped, name)),
      (name) => wrapped[name],
    )
    this.#originalData = copyOf(wrapped.__originalEntityData)
    this.#loadedProperties = new Set(wrapped.__loadedProperties)
    this.#serializationContext = copyOfContext(wrapped.__serializationContext)
    if (this.#opaque.size > 0) this.#stored = comparator.prepareEntity(entity)
  }

  isCurrent(): boolean {
    const entity = this.entity
    const wrapped = helperOf(entity)
    const ownKeys = Reflect.ownKeys(entity).filter((key) => !FIXED_KEYS.has(key))
    return (
      ownKeys.length === this.#own.size &&
      ownKeys.every((key) => this.#own.get(key)?.memory.matches(Object.getOwnPropertyDescriptor(entity, key)?.value)) &&
      Object.keys(wrapped.__data).length === this.#data.size &&
      [...this.#data].every(([key, memory]) => memory.matches(wrapped.__data[key])) &&
      [...this.#hidden].every(([name, memory]) => memory.matches(entity[name])) &&
      FIELDS.every((name) => Object.is(wrapped[name], this.#fields.get(name))) &&
      sameRecord(wrapped.__originalEntityData, this.#originalData) &&
      sameList([...wrapped.__loadedProperties], [...this.#loadedProperties]) &&
      sameContext(wrapped.__serializationContext, this.#serializationContext) &&
      this.unrestored().length === 0
    )
  }

  /** Properties that hold the object they held, with other contents now, which recalling does not reach. */
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
    for (const [name, memory] of this.#hidden) {
      if (!memory.matches(this.entity[name])) this.entity[name] = memory.recall()
    }
    for (const name of FIELDS) {
      if (this.#fields.has(name)) wrapped[name] = this.#fields.get(name)
      else Reflect.deleteProperty(wrapped, name)
    }
    if (this.#originalData === undefined) {
      Reflect.deleteProperty(wrapped, '__originalEntityData')
      // A placeholder for the primary key that the database was to generate; it would still have the one it got.
      Reflect.deleteProperty(wrapped, '__identifier')
    } else wrapped.__originalEntityData = { ...this.#originalData }
    wrapped.__loadedProperties = new Set(this.#loadedProperties)
    wrapped.__serializationContext = copyOfContext(this.#serializationContext)
    wrapped['__processing'] = false
  }

  #restoreOwn(wrapped: Wrapped): void {
    const entity = this.entity
    const present = wrapped.__data
    wrapped.__data = Object.fromEntries(
      [...this.#data].map(([key, memory]) => [key, inPlaceOf(present[key], memory.recall())]),
    )
    for (const key of Reflect.ownKeys(entity)) {
      if (!FIXED_KEYS.has(key) && !this.#own.has(key)) removeLater(entity, key)
    }
    for (const [key, { descriptor, memory }] of this.#own) {
      const now = Object.getOwnPropertyDescriptor(entity, key)
      if (now?.set !== undefined && descriptor.set !== undefined) continue
      const value = inPlaceOf(now?.value, memory.recall())
      const isUnchanged = now !== undefined && Object.is(now.value, value)
      if (descriptor.set !== undefined) Object.defineProperty(entity, key, descriptor)
      else if (!isUnchanged) Object.defineProperty(entity, key, { ...descriptor, value })
    }
  }

  #memoryOf(key: PropertyKey, value: unknown): Memory {
    const entity = this.entity
    const property = propertyOf(entity, key)
    if (property === undefined) return rememberAsIs(value)
    if (Collection.isCollection<object, object>(value)) return new CollectionMemory(value, property)
    if (!ScalarReference.isScalarReference(value)) return this.#valueMemory(property, value, value)
    const content = value.unwrap()
    return new ScalarReferenceMemory(value, entity, property.name, this.#valueMemory(property, content, value))
  }

  #valueMemory(property: EntityProperty, value: unknown, held: unknown): Memory {
    if (property.persist === false) return remember(value, isLeftWhereNothingIsStored(value))
    return remember(value, (part) => {
      if (isLeft(part)) return true
      if (!this.#opaque.has(property.name) && mayHide(part)) this.#opaque.set(property.name, { property, value: held })
      return false
    })
  }

  #namesOfHidden(): string[] {
    const names = helperOf(this.entity).__meta.props.map(({ name }) => name)
    return names.filter((name) => {
      if (this.#own.has(name) || this.#data.has(name)) return false
      const inherited = inheritedDescriptor(this.entity, name)
      return inherited?.get !== undefined && inherited.set !== undefined
    })
  }
}

/** Entities are remembered by themselves, and what runs the program is no value of theirs. */
function isLeft(value: object): boolean {
  if (Reference.isReference(value) || Collection.isCollection(value)) return true
  const meta = (value as { readonly __meta?: EntityMetadata }).__meta
  if (meta !== undefined) return !meta.embeddable
  return value instanceof EventEmitter || value instanceof EntityManager
}

/** What is not stored may be anything, a whole request even: objects of classes inside of one are left alone. */
function isLeftWhereNothingIsStored(whole: unknown): IsLeft {
  return (value) => isLeft(value) || (value !== whole && mayHide(value))
}

/** The names by which MikroORM compares a property: the embeddables that have columns of their own have several. */
function columnsOf({ kind, object, array, name, embeddedProps }: EntityProperty): string[] {
  if (kind !== ReferenceKind.EMBEDDED || object === true || array === true) return [name]
  return Object.values(embeddedProps).flatMap((property) => columnsOf(property))
}

/** Takes away an own property that came later; a collection stays, but is unloaded again. */
function removeLater(entity: Entity, key: PropertyKey): void {
  const value: unknown = Object.getOwnPropertyDescriptor(entity, key)?.value
  const property = propertyOf(entity, key)
  if (property === undefined || !Collection.isCollection<object, object>(value)) Reflect.deleteProperty(entity, key)
  else if (!isUntouched(value)) entity[key] = inPlaceOf(value, unloaded(entity, property))
}

/** MikroORM's own bookkeeping of one entity. */
export function helperOf(entity: Entity): Wrapped {
  return helper(entity) as unknown as Wrapped
}

function propertyOf(entity: Entity, key: PropertyKey): EntityProperty | undefined {
  return helperOf(entity).__meta.properties[key as never]
}

function inheritedDescriptor(entity: object, name: string): PropertyDescriptor | undefined {
  for (let type: unknown = Object.getPrototypeOf(entity); type !== null; type = Object.getPrototypeOf(type)) {
    const descriptor = Object.getOwnPropertyDescriptor(type, name)
    if (descriptor !== undefined) return descriptor
  }
  return undefined
}

function copyOf<T extends object>(record: T | undefined): T | undefined {
  return record === undefined ? undefined : { ...record }
}

/** A copy of what a serialization leaves out and puts in. */
export function copyOfContext(context: Wrapped['__serializationContext']): Wrapped['__serializationContext'] {
  return context.fields === undefined ? { ...context } : { ...context, fields: new Set(context.fields) }
}

/** Its lists are replaced, never changed; only the set is. */
function sameContext(one: Wrapped['__serializationContext'], other: Wrapped['__serializationContext']): boolean {
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
