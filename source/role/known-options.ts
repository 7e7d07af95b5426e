import { ConfigurationError } from './errors.ts'

/** @throws ConfigurationError for what is no object, and for an option that `what` does not have: a misspelt one does nothing */
export function assertKnownOptions(what: string, given: unknown, known: readonly string[]): void {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new ConfigurationError(
      `${what} was given ${given === null ? 'null' : `a ${typeof given}`} in place of options. ` +
        `Give an object with some of ${known.join(', ')}, or nothing.`,
    )
  }
  const unknown = Object.keys(given).find((name) => !known.includes(name))
  if (unknown === undefined) return
  throw new ConfigurationError(`${what} has no option "${unknown}". The options are ${known.join(', ')}.`)
}
