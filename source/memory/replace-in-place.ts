import { Collection, ScalarReference } from '@mikro-orm/core'

/** Collections and lazy scalars that had to be replaced, with the one in their place. */
const replacements = new WeakMap<object, object>()

/** Returns the collection or lazy scalar that is in the place of `value` now. */
export function latest<T extends object>(value: T): T {
  let last: object = value
  for (let next = replacements.get(last); next !== undefined; next = replacements.get(last)) last = next
  return last as T
}

/**
 * Returns `then`, which takes the place of `now`. A program may still hold a replaced collection or lazy scalar.
 * It reaches the new one through the old one: an item added to the old one would be lost without a word.
 */
export function replaceInPlace(now: unknown, then: unknown): unknown {
  if (now === then || !isReplaceable(now) || !isReplaceable(then)) return then
  replacements.set(now, then)
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
