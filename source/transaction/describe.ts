import { inspect } from 'node:util'

/** How a message names a transaction: by its description, where it has one. */
export function named({ description }: { readonly description: string }): string {
  return description === '' ? 'the transaction' : `the transaction "${description}"`
}

/** How a message names a participant: by the name of its class or function. */
export function labelOf(participant: object): string {
  const name = typeof participant === 'function' ? participant.name : participant.constructor?.name
  return name === undefined || name === '' || name === 'Object' ? 'an unnamed participant' : name
}

/** How a message tells of an error, which may be any value. */
export function errorText(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : inspect(error)
}
