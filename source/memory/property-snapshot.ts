import { EventEmitter } from 'node:events'
import {
  Collection,
  EntityManager,
  JsonType,
  Reference,
  ScalarReference,
  type EntityMetadata,
  type EntityProperty,
} from '@mikro-orm/core'
import { CollectionSnapshot, ScalarReferenceSnapshot } from './collection-snapshot.ts'
import { isOfOwnClass, mayHide } from './hidden-contents.ts'
import { snapshotByReference, snapshotOf, type IsByReference, type ValueSnapshot } from './value-snapshot.ts'
import { propertyOf, type Entity } from './wrapped-entity.ts'

/** Stored properties with an object of a class that may hide its contents, by their names. */
export type OpaqueProperties = Map<string, { readonly property: EntityProperty; readonly value: unknown }>

/** Takes a snapshot of the value of one property. Notes the property in `opaque` if the value may hide contents. */
export function snapshotOfProperty(
  entity: Entity,
  key: PropertyKey,
  value: unknown,
  opaque: OpaqueProperties,
): ValueSnapshot {
  const property = propertyOf(entity, key)
  if (property === undefined) return snapshotByReference(value)
  if (Collection.isCollection<object, object>(value)) return new CollectionSnapshot(value, property)
  if (!ScalarReference.isScalarReference(value)) return snapshotOfValue(property, value, value, opaque)
  const content = snapshotOfValue(property, value.unwrap(), value, opaque)
  return new ScalarReferenceSnapshot(value, entity, property.name, content)
}

/** `held` is the value of the property itself: the wrapper of a lazy scalar, of which `value` is the content. */
function snapshotOfValue(
  property: EntityProperty,
  value: unknown,
  held: unknown,
  opaque: OpaqueProperties,
): ValueSnapshot {
  if (property.persist === false) return snapshotOf(value, isByReferenceWhereNothingIsStored(value))
  // A type of the program may see contents that are visible to nothing else.
  if (isObject(value) && isOfOwnClass(value) && isOfOwnType(property)) {
    opaque.set(property.name, { property, value: held })
  }
  return snapshotOf(value, (part) => {
    if (isByReference(part)) return true
    if (!opaque.has(property.name) && mayHide(part)) opaque.set(property.name, { property, value: held })
    return false
  })
}

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

/** Whether an object has a snapshot of its own, as entities have, or runs the program and is no value of an entity. */
function isByReference(value: object): boolean {
  if (Reference.isReference(value) || Collection.isCollection(value)) return true
  const meta = (value as { readonly __meta?: EntityMetadata }).__meta
  if (meta !== undefined) return !meta.embeddable
  return value instanceof EventEmitter || value instanceof EntityManager
}

/** A property that is not stored may hold anything, even a request: objects of classes inside it keep their contents. */
function isByReferenceWhereNothingIsStored(whole: unknown): IsByReference {
  return (value) => isByReference(value) || (value !== whole && mayHide(value))
}

function isOfOwnType({ customType }: EntityProperty): boolean {
  return customType !== undefined && !(customType instanceof JsonType)
}
