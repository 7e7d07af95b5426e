import { Utils, wrap, type CacheAdapter } from '@mikro-orm/core'
import { override } from './override.ts'

/**
 * Has a result cache hand out and take in copies. MikroORM's adapter in memory keeps what it is given, so that an entity
 * shares its JSON, arrays and bytes with the cache: a change to them would be another request's before it is committed
 * (https://github.com/mikro-orm/mikro-orm/blob/v7.2.1/packages/core/src/cache/MemoryCacheAdapter.ts).
 */
export function copiedResults(cache: CacheAdapter): (() => void)[] {
  return [
    override(
      cache,
      'get',
      (original) =>
        function (...args) {
          const found: unknown = original.apply(this, args)
          return found instanceof Promise ? found.then(copyOf) : copyOf(found)
        },
    ),
    override(
      cache,
      'set',
      (original) =>
        function (name, data, ...rest) {
          return original.call(this, name, copyOf(data), ...rest)
        },
    ),
  ]
}

/** Copies data at any depth. Shares an object of a class of the program, whose copy might not be whole. */
function copyOf(value: any): unknown {
  if (typeof value !== 'object' || value === null) return value
  // A virtual entity, which would keep its entity manager.
  if (Utils.isEntity(value)) return copyOf(wrap(value).toPOJO())
  if (Array.isArray(value)) return value.map(copyOf)
  if (value instanceof Date) return new Date(value)
  if (Buffer.isBuffer(value)) return Buffer.from(value)
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) return (value as Uint8Array).slice()
  if (value instanceof Map) return new Map([...value].map(([key, content]) => [copyOf(key), copyOf(content)]))
  if (value instanceof Set) return new Set([...value].map(copyOf))
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return value
  return Object.fromEntries(Object.entries(value).map(([name, content]) => [name, copyOf(content)]))
}
