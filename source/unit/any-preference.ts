import { ConfigurationError } from '../role/errors.ts'

/** What `.any` tries, in order, where nothing else is said. */
export const DEFAULT_ANY_PREFERENCE: readonly string[] = ['reader', 'writer']

/** A copy of what `.any` is to try; `roles` are those that exist. @throws ConfigurationError */
export function checkedPreference(given: unknown, roles: readonly string[]): readonly string[] {
  if (given === undefined) return DEFAULT_ANY_PREFERENCE
  const names = `The roles are ${roles.map((role) => `"${role}"`).join(', ')}.`
  if (!Array.isArray(given)) throw new ConfigurationError(`anyPreference is no list of roles. ${names}`)
  const unknown = (given as string[]).find((role) => !roles.includes(role))
  if (unknown === undefined && given.length > 0) return [...(given as string[])]
  throw new ConfigurationError(
    `anyPreference ${unknown === undefined ? 'is empty' : `names "${unknown}", which is no role`}. ${names}`,
  )
}
