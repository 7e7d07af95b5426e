import type { EngineRegistry } from '../../registry/engine-registry.ts'
import { ConfigurationError } from '../../role/errors.ts'
import { Sandbox } from './sandbox.ts'
import { resolveSandboxOptions, type SandboxOptions } from './sandbox-options.ts'

const sandboxes = new WeakMap<object, Sandbox>()

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
  if (sandboxes.has(registry))
    throw new ConfigurationError(
      'The registry has a sandbox. Close it by "await sandbox.close()" before making another.',
    )
  // What the registry asks its databases at its beginning comes to its end outside of the sandbox.
  await registry.whenQuiet()
  const sandbox = new Sandbox(registry, resolved, () => sandboxes.delete(registry))
  sandboxes.set(registry, sandbox)
  return sandbox
}
