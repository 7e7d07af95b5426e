import type { EngineRegistry } from '../../registry/engine-registry.ts'
import { ConfigurationError } from '../../role/errors.ts'
import { Sandbox } from './sandbox.ts'
import { resolveSandboxOptions, type SandboxOptions } from './sandbox-options.ts'

/** The registries and ORMs that are in one. */
const taken = new WeakSet<object>()

/**
 * Puts all roles of a registry into a sandbox, for tests: one connection for each database, in one transaction from
 * `sandbox.begin()` to `sandbox.rollback()`. What the application commits in between is there for all roles, over HTTP too; hooks
 * run, constraints are checked as the commit would, and nothing of it stays. Sends nothing; call it before the first request.
 * @throws ConfigurationError for an option that cannot work, where NODE_ENV is `production`, and for a registry that has a sandbox;
 *   RegistryClosedError for one that is closed
 */
export async function createSandbox(
  registry: EngineRegistry<any, any>,
  options: SandboxOptions = {},
): Promise<Sandbox> {
  const resolved = resolveSandboxOptions(options)
  registry.assertOpen()
  const orms = registry.names.map((role) => registry.engine(role).options.orm)
  const all: readonly object[] = [registry, ...orms]
  if (all.some((each) => taken.has(each)))
    throw new ConfigurationError(
      'The registry, or an ORM of it, has a sandbox. Close that by "await sandbox.close()" before making another.',
    )
  for (const each of all) taken.add(each)
  // What the registry asks its databases at its beginning comes to its end outside of the sandbox.
  await registry.whenQuiet()
  return new Sandbox(registry, resolved, () => {
    for (const each of all) taken.delete(each)
  })
}
