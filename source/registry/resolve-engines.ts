import { ownContextName } from '../role/context-names.ts'
import { assertRoleName, type Engines } from '../unit/db-sessions-container.ts'
import { resolveEngineOptions, type ResolvedEngineOptions } from '../role/engine-options.ts'
import { ConfigurationError } from '../role/errors.ts'
import { assertFollowable } from './replica-roles.ts'
import { LONGEST_ROLE } from '../atomic/global-id.ts'

/**
 * Checks each role and the roles together, and fills in the defaults.
 * @throws ConfigurationError naming the role, the value found and the fix
 */
export function resolveEngines(engines: Engines): ResolvedEngineOptions[] {
  if (typeof engines !== 'object' || engines === null || Object.keys(engines).length === 0) {
    throw new ConfigurationError('No engines were given. Give an object of roles, such as { writer: orm }.')
  }
  const names = new Map<string, string>()
  const resolved = Object.entries(engines).map(([role, engine]) => {
    assertRoleName(role)
    return resolveEngineOptions(role, engine)
  })
  for (const { role, orm } of resolved) {
    const first = resolved.find((other) => other.orm === orm)?.role ?? role
    if (first !== role) {
      throw new ConfigurationError(
        `The roles "${first}" and "${role}" have the same MikroORM instance. Give each an instance of its own.`,
      )
    }
    const name = ownContextName(orm)
    if (name === undefined) continue
    const holder = names.get(name)
    if (holder !== undefined) {
      throw new ConfigurationError(
        `The roles "${holder}" and "${role}" have MikroORM instances with one contextName, "${name}". ` +
          `Give each its own, such as MikroORM.init({ contextName: '${role}', ... }), or leave it out.`,
      )
    }
    names.set(name, role)
  }
  assertFollowable(resolved)
  return resolved
}

/** The role with `default: true`, else the only one, else `writer`. @throws ConfigurationError for two of them */
export function defaultRole(engines: readonly { role: string; isDefault: boolean }[]): string | undefined {
  const chosen = engines.filter(({ isDefault }) => isDefault).map(({ role }) => role)
  if (chosen.length > 1) {
    throw new ConfigurationError(
      `The roles ${chosen.map((role) => `"${role}"`).join(' and ')} both have default: true. Leave it to one of them.`,
    )
  }
  if (chosen.length === 0 && engines.length === 1) return engines[0]?.role
  return chosen[0] ?? engines.find(({ role }) => role === 'writer')?.role
}

/** @throws ConfigurationError for a name too long for the ids of prepared transactions */
export function assertRoleLength(role: string): void {
  if (Buffer.byteLength(role) <= LONGEST_ROLE) return
  throw new ConfigurationError(
    `The role "${role}" has a name of ${Buffer.byteLength(role)} bytes. It stands twice in the ids of prepared ` +
      `transactions and can have ${LONGEST_ROLE} at most.`,
  )
}

/** @throws ConfigurationError where no role is the default */
export function assertDefault(role: string | undefined, names: readonly string[]): string {
  if (role !== undefined) return role
  throw new ConfigurationError(
    `No role is the default among ${names.map((name) => `"${name}"`).join(', ')}. ` +
      `Give one of them default: true, or name one "writer".`,
  )
}
