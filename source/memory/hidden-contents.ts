/** Prototypes of objects whose contents are all visible from outside. */
const OPEN = new Set<unknown>(
  [Object, Array, Date, Map, Set, ArrayBuffer, Buffer, DataView].map(({ prototype }) => prototype),
)

/** Whether an object is of a class of the program. */
export function isOfOwnClass(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype !== null && !OPEN.has(prototype) && !ArrayBuffer.isView(value)
}

/** Whether an object may keep contents that only its own methods and accessors reach. */
export function mayHide(value: object): boolean {
  if (isOfOwnClass(value) && !isOpen(Object.getPrototypeOf(value) as object)) return true
  return !Array.isArray(value) && hasAccessor(value)
}

const open = new WeakMap<object, boolean>()

/** Whether a prototype has no method or accessor that could show hidden contents. */
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

/** Whether a name is on every class, or was defined by MikroORM on embeddables. Storing an object asks for none of them. */
function isOfMikroOrm(prototype: object, name: PropertyKey): boolean {
  if (name === 'constructor') return true
  if (!Object.hasOwn(prototype, '__meta')) return false
  return typeof name === 'symbol' || String(name).startsWith('__') || name === 'toJSON'
}

function hasAccessor(value: object): boolean {
  if (ArrayBuffer.isView(value)) return false
  return Object.keys(value).some((key) => Object.getOwnPropertyDescriptor(value, key)?.get !== undefined)
}
