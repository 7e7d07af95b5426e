export type Method = (this: any, ...args: any[]) => any

/** Puts a method before the inherited one of `target`; returns the step that takes it away. */
export function override(target: object, name: string, make: (original: Method) => Method): () => void {
  const own = Object.getOwnPropertyDescriptor(target, name)
  const original = Reflect.get(target, name) as Method
  Object.defineProperty(target, name, { value: make(original), configurable: true, writable: true })
  return () => {
    if (own === undefined) Reflect.deleteProperty(target, name)
    else Object.defineProperty(target, name, own)
  }
}
