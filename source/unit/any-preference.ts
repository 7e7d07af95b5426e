import { ConfigurationError } from '../role/errors.ts'

/** What `.any` tries, in order, where nothing else is said. */
export const DEFAULT_ANY_PREFERENCE: readonly string[] = ['reader', 'writer']

/** A role of the preference that is open, first one that has changed something: no other role sees that. */
export function openRole(
  preference: readonly string[],
  opened: (role: string) => { readonly state: string } | undefined,
): string | undefined {
  const open = preference.filter((role) => opened(role) !== undefined)
  return open.find((role) => opened(role)?.state === 'changed') ?? open[0]
}

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
