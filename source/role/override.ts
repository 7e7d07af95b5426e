export type Method = (this: any, ...args: any[]) => any

/** A method that was put before another one. */
interface Layer {
  readonly target: object
  readonly name: string
  readonly make: (original: Method) => Method
  /** What `target` itself had under that name. */
  own: PropertyDescriptor | undefined
}

const layers = new WeakMap<Method, Layer>()

/**
 * Puts a method before the inherited one of `target`; returns the step that takes it away. Those of several owners may be taken
 * away in any order: the ones above are made anew.
 */
export function override(target: object, name: string, make: (original: Method) => Method): () => void {
  const layer: Layer = { target, name, make, own: undefined }
  put(layer)
  return () => takeAway(layer)
}

function put(layer: Layer): void {
  const { target, name, make } = layer
  layer.own = Object.getOwnPropertyDescriptor(target, name)
  const value = make(Reflect.get(target, name) as Method)
  layers.set(value, layer)
  Object.defineProperty(target, name, { value, configurable: true, writable: true })
}

function takeAway(layer: Layer): void {
  const { target, name, own } = layer
  const above: Layer[] = []
  for (let next = layerOf(Object.getOwnPropertyDescriptor(target, name)); next !== undefined && next !== layer;) {
    above.push(next)
    next = layerOf(next.own)
  }
  if (own === undefined) Reflect.deleteProperty(target, name)
  else Object.defineProperty(target, name, own)
  for (const each of above.toReversed()) put(each)
}

function layerOf(descriptor: PropertyDescriptor | undefined): Layer | undefined {
  return layers.get(descriptor?.value as Method)
}
