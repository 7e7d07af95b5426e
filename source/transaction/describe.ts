import { inspect } from 'node:util'

/** Names a transaction in a message by its description, if there is one. */
export function named({ description }: { readonly description: string }): string {
  return description === '' ? 'the transaction' : `the transaction "${description}"`
}

/** Names a participant in a message by its class or function. */
export function labelOf(participant: object): string {
  const name = typeof participant === 'function' ? participant.name : participant.constructor?.name
  return name === undefined || name === '' || name === 'Object' ? 'an unnamed participant' : name
}

/** Shows an error, which may be any value, in a message. */
export function errorText(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : inspect(error)
}
