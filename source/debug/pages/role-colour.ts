const COLOURS = 8

/** The class of a role's colour: by its place among the roles of the registry, so that it is the same on every page. */
export function roleColour(roles: readonly string[], role: string): string {
  const index = roles.indexOf(role)
  return `role-${(index === -1 ? roles.length : index) % COLOURS}`
}
