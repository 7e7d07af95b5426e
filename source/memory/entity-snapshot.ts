import { EventEmitter } from 'node:events'
import {
  Collection,
  EntityManager,
  helper,
  JsonType,
  Reference,
  ReferenceKind,
  ScalarReference,
  type AnyEntity,
  type EntityComparator,
  type EntityMetadata,
  type EntityProperty,
} from '@mikro-orm/core'
import { CollectionMemory, inPlaceOf, isUntouched, ScalarReferenceMemory, unloaded } from './collection-snapshot.ts'
import {
  FIXED_KEYS,
  isOfOwnClass,
  mayHide,
  remember,
  rememberAsIs,
  sameList,
  type IsLeft,
  type Memory,
} from './value-snapshot.ts'

// identity-map-snapshot.ts lists what it relies on.

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

/** Of a field that the helper does not have. */
const ABSENT = Symbol('absent')
const NONE: ReadonlyMap<PropertyKey, unknown> = new Map()

/** One entity with its helper, collections, embeddables and other values that can be changed in place. */
export class EntityMemory {
  readonly entity: Entity
  readonly #comparator: EntityComparator
  readonly #keys: readonly PropertyKey[]
  /** Own properties that hold a value; the others are accessors of what is in `__data`. */
  readonly #own = new Map<PropertyKey, { readonly descriptor: PropertyDescriptor; readonly memory: Memory }>()
  readonly #data: Readonly<Record<string, unknown>>
  /** Those parts of the data that can change in place. */
  readonly #parts = new Map<string, Memory>()
  /** Properties that only the accessors of a class reach. */
  readonly #hidden: ReadonlyMap<string, Memory>
  readonly #fields: readonly unknown[]
  readonly #originalData: Record<string, unknown> | undefined
  readonly #loadedProperties: readonly string[]
  readonly #serializationContext: Wrapped['__serializationContext']
  /** Stored properties with an object of a class, which may hide what it holds. */
  readonly #opaque = new Map<string, { readonly property: EntityProperty; readonly value: unknown }>()
  /** What a flush would have stored, where something may be hidden. */
  readonly #stored: object | undefined

  /** `instead` are collections to remember in place of those that the entity has. */
  constructor(entity: Entity, comparator: EntityComparator, instead: ReadonlyMap<PropertyKey, unknown> = NONE) {
    const wrapped = helperOf(entity)
    this.entity = entity
    this.#comparator = comparator
    this.#data = { ...wrapped.__data }
    this.#keys = keysOf(entity)
    for (const key of this.#keys) if (!this.#isTracked(key) || instead.has(key)) this.#rememberOwn(key, instead)
    for (const key of Object.keys(this.#data)) {
      const value = this.#data[key]
      if (isObject(value)) this.#parts.set(key, this.#memoryOf(key, value))
    }
    this.#hidden = mapOf(this.#namesOfHidden(), (name) => this.#memoryOf(name, entity[name]))
    this.#fields = FIELDS.map((name) => (Object.hasOwn(wrapped, name) ? wrapped[name] : ABSENT))
    this.#originalData = copyOf(wrapped.__originalEntityData)
    this.#loadedProperties = [...wrapped.__loadedProperties]
    this.#serializationContext = copyOfContext(wrapped.__serializationContext)
    if (this.#opaque.size > 0) this.#stored = comparator.prepareEntity(entity)
  }

  isCurrent(): boolean {
    const wrapped = helperOf(this.entity)
    return (
      sameList(keysOf(this.entity), this.#keys) &&
      [...this.#own].every(([key, { memory }]) => memory.matches(valueOf(this.entity, key))) &&
      this.#hasSameData(wrapped.__data) &&
      [...this.#hidden].every(([name, memory]) => memory.matches(this.entity[name])) &&
      FIELDS.every((name, index) =>
        Object.is(Object.hasOwn(wrapped, name) ? wrapped[name] : ABSENT, this.#fields[index]),
      ) &&
      sameRecord(wrapped.__originalEntityData, this.#originalData) &&
      sameList([...wrapped.__loadedProperties], this.#loadedProperties) &&
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
    FIELDS.forEach((name, index) => {
      if (this.#fields[index] === ABSENT) Reflect.deleteProperty(wrapped, name)
      else wrapped[name] = this.#fields[index]
    })
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
    wrapped.__data = { ...this.#data }
    for (const [key, memory] of this.#parts) wrapped.__data[key] = inPlaceOf(present[key], memory.recall())
    for (const key of keysOf(entity)) if (!this.#keys.includes(key)) removeLater(entity, key)
    for (const key of this.#keys) {
      const own = this.#own.get(key)
      if (own === undefined) track(entity, key as string)
      else restoreOwn(entity, key, own.descriptor, own.memory)
    }
  }

  #hasSameData(data: Record<string, unknown>): boolean {
    const keys = Object.keys(data)
    return (
      keys.length === Object.keys(this.#data).length &&
      keys.every((key) => this.#parts.get(key)?.matches(data[key]) ?? Object.is(data[key], this.#data[key]))
    )
  }

  /** Whether a property of the entity is an accessor of what is in `__data`. */
  #isTracked(key: PropertyKey): boolean {
    return typeof key === 'string' && Object.hasOwn(this.#data, key) && this.entity[key] === this.#data[key]
  }

  #rememberOwn(key: PropertyKey, instead: ReadonlyMap<PropertyKey, unknown>): void {
    const descriptor = Object.getOwnPropertyDescriptor(this.entity, key) as PropertyDescriptor
    const value = instead.has(key) ? instead.get(key) : descriptor.value
    this.#own.set(key, { descriptor, memory: this.#memoryOf(key, value) })
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
    // A type of the program's may see what nobody else does.
    if (isObject(value) && isOfOwnClass(value) && isOfOwnType(property)) {
      this.#opaque.set(property.name, { property, value: held })
    }
    return remember(value, (part) => {
      if (isLeft(part)) return true
      if (!this.#opaque.has(property.name) && mayHide(part)) this.#opaque.set(property.name, { property, value: held })
      return false
    })
  }

  #namesOfHidden(): readonly string[] {
    const names = accessorsOf(this.entity)
    if (names.length === 0) return names
    return names.filter((name) => !this.#keys.includes(name) && !Object.hasOwn(this.#data, name))
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function keysOf(entity: Entity): PropertyKey[] {
  return Reflect.ownKeys(entity).filter((key) => !FIXED_KEYS.has(key))
}

function valueOf(entity: Entity, key: PropertyKey): unknown {
  return Object.getOwnPropertyDescriptor(entity, key)?.value
}

/** Makes a property an accessor again where it was one, without the propagation that its setter does. */
function track(entity: Entity, key: string): void {
  const now = Object.getOwnPropertyDescriptor(entity, key)
  if (now?.set !== undefined) return
  const { __data: data, __meta: meta } = helperOf(entity)
  const value = data[key]
  Reflect.deleteProperty(entity, key)
  const defined = (meta.definedProperties as PropertyDescriptorMap)[key]
  if (defined !== undefined) Object.defineProperty(entity, key, defined)
  else entity[key] = value
}

function restoreOwn(entity: Entity, key: PropertyKey, descriptor: PropertyDescriptor, memory: Memory): void {
  const now = Object.getOwnPropertyDescriptor(entity, key)
  if (now?.set !== undefined && descriptor.set !== undefined) return
  const value = inPlaceOf(now?.value, memory.recall())
  const isUnchanged = now !== undefined && Object.is(now.value, value)
  if (descriptor.set !== undefined) Object.defineProperty(entity, key, descriptor)
  else if (!isUnchanged) Object.defineProperty(entity, key, { ...descriptor, value })
}

const accessors = new WeakMap<object, readonly string[]>()

/** The properties that a class has getters and setters for, and so may keep where nothing else reaches. */
function accessorsOf(entity: Entity): readonly string[] {
  const prototype = Object.getPrototypeOf(entity) as object
  let names = accessors.get(prototype)
  if (names === undefined) {
    names = helperOf(entity)
      .__meta.props.map(({ name }): string => name)
      .filter((name) => {
        const inherited = inheritedDescriptor(entity, name)
        return inherited?.get !== undefined && inherited.set !== undefined
      })
    accessors.set(prototype, names)
  }
  return names
}

/** Entities are remembered by themselves, and what runs the program is no value of theirs. */
function isLeft(value: object): boolean {
  if (Reference.isReference(value) || Collection.isCollection(value)) return true
  const meta = (value as { readonly __meta?: EntityMetadata }).__meta
  if (meta !== undefined) return !meta.embeddable
  return value instanceof EventEmitter || value instanceof EntityManager
}

function isOfOwnType({ customType }: EntityProperty): boolean {
  return customType !== undefined && !(customType instanceof JsonType)
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
