export { TemplateError } from './errors.ts'
export type { DatabaseTemplate } from './templates/database-template.ts'
export { freshDatabase, type FreshDatabase } from './templates/fresh-database.ts'
export { prepareTemplate, type PrepareTemplateOptions } from './templates/prepare-template.ts'
export { workerDatabase, type WorkerDatabaseOptions } from './templates/worker-database.ts'
export type { CapturedHook, CaptureOptions } from './sandbox/captured-hooks.ts'
export { createSandbox } from './sandbox/create-sandbox.ts'
export {
  SandboxBusyError,
  SandboxEscapeError,
  SandboxLeakError,
  SandboxLostError,
  SandboxNotBegunError,
  SandboxReadAheadError,
  SandboxReplayError,
} from './sandbox/errors.ts'
export type { Sandbox, SandboxReport } from './sandbox/sandbox.ts'
export type { SandboxOptions } from './sandbox/sandbox-options.ts'
