import { Collection } from '@mikro-orm/core'
import { isUntouched, unloaded } from './collection-snapshot.ts'
import { replaceInPlace } from './replace-in-place.ts'
import type { ValueSnapshot } from './value-snapshot.ts'
import { FIXED_KEYS, helperOf, propertyOf, type Entity } from './wrapped-entity.ts'

/** Lists the own properties of an entity, without those that MikroORM has for itself. */
export function keysOf(entity: Entity): PropertyKey[] {
  return Reflect.ownKeys(entity).filter((key) => !FIXED_KEYS.has(key))
}

export function valueOf(entity: Entity, key: PropertyKey): unknown {
  return Object.getOwnPropertyDescriptor(entity, key)?.value
}

/** Makes a property an accessor of `__data` again, without the propagation that its setter does. */
export function track(entity: Entity, key: string): void {
  const now = Object.getOwnPropertyDescriptor(entity, key)
  if (now?.set !== undefined) return
  const { __data: data, __meta: meta } = helperOf(entity)
  const value = data[key]
  Reflect.deleteProperty(entity, key)
  const defined = (meta.definedProperties as PropertyDescriptorMap)[key]
  if (defined !== undefined) Object.defineProperty(entity, key, defined)
  else entity[key] = value
}

/** Restores an own property, unless it is an accessor and was one. */
export function restoreOwn(
  entity: Entity,
  key: PropertyKey,
  descriptor: PropertyDescriptor,
  snapshot: ValueSnapshot,
): void {
  const now = Object.getOwnPropertyDescriptor(entity, key)
  if (now?.set !== undefined && descriptor.set !== undefined) return
  const value = replaceInPlace(now?.value, snapshot.restore())
  const isUnchanged = now !== undefined && Object.is(now.value, value)
  if (descriptor.set !== undefined) Object.defineProperty(entity, key, descriptor)
  else if (!isUnchanged) Object.defineProperty(entity, key, { ...descriptor, value })
}

/** Removes an own property that came later. A collection stays, unloaded again. */
export function removeLater(entity: Entity, key: PropertyKey): void {
  const value = valueOf(entity, key)
  const property = propertyOf(entity, key)
  if (property === undefined || !Collection.isCollection<object, object>(value)) Reflect.deleteProperty(entity, key)
  else if (!isUntouched(value)) entity[key] = replaceInPlace(value, unloaded(entity, property))
}

const accessors = new WeakMap<object, readonly string[]>()

/** Lists the properties with a getter and a setter of the class, which may keep values that nothing else reaches. */
export function accessorsOf(entity: Entity): readonly string[] {
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

function inheritedDescriptor(entity: object, name: string): PropertyDescriptor | undefined {
  for (let type: unknown = Object.getPrototypeOf(entity); type !== null; type = Object.getPrototypeOf(type)) {
    const descriptor = Object.getOwnPropertyDescriptor(type, name)
    if (descriptor !== undefined) return descriptor
  }
  return undefined
}
