/** Calls `make` once for each object, such as a class. What it returns lives as long as that. */
export function onceFor<Base extends object, Made extends object>(make: (base: Base) => Made): (base: Base) => Made {
  const made = new WeakMap<Base, Made>()
  return (base) => {
    let known = made.get(base)
    if (known === undefined) made.set(base, (known = make(base)))
    return known
  }
}
