import type { UnitEndFacts, UnitFacts } from '../unit/unit-channels.ts'
import type { EngineRegistry } from './engine-registry.ts'

/** Every message about a unit of work, a request or a run. */
export interface UnitMessage extends UnitFacts {
  /** The registry it was started with. */
  readonly registry: EngineRegistry
}

/** `sqlassist:unit:end`: a unit of work is over. Its sessions are closed, but for those that a streamed body reads from. */
export interface UnitEndMessage extends UnitMessage, UnitEndFacts {}

/** `sqlassist:registry:close`: a registry is closed; no message names it after this one. */
export interface RegistryCloseMessage {
  /** The registry. */
  readonly registry: EngineRegistry
}
