const COLOURS = 8

/** The class of a role's colour, by the role's place in the registry: equal on every page. */
export function roleColour(roles: readonly string[], role: string): string {
  const index = roles.indexOf(role)
  return `role-${(index === -1 ? roles.length : index) % COLOURS}`
}
