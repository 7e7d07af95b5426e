type Defined<T> = { [Key in keyof T]?: Exclude<T[Key], undefined> }

/** The same without the properties that are undefined: what is left are the changes somebody asked for. */
export function defined<T extends object>(values: T): Defined<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>
}
