import { channel } from 'node:diagnostics_channel'
import { logChannels, numbered } from '../transaction/debug-log.ts'
import type { TransactionManager } from '../transaction/index.ts'

/** The facts published of a unit of work, a request or a run. */
export interface UnitFacts {
  readonly registry: object
  /** The Koa ctx of a request; the option `owner` of a run. */
  readonly owner: unknown
  /** The container: `ctx.dbSession`. */
  readonly dbSession: object
  /** Its transaction manager. */
  readonly tm: TransactionManager
  /** One object for all attempts at the same work: the Koa ctx of a request. */
  readonly series: object
  /** Which attempt at the same work it is, counted from 1. */
  readonly attempt: number
}

export const ABORT_REASONS = ['doomed', 'vetoed', 'failed', 'cancelled'] as const
/**
 * Why a unit of work aborted: its transaction was doomed, the commit veto said so, an error was thrown (also by the commit),
 * or it was cancelled, as when the client went away.
 */
export type AbortReason = (typeof ABORT_REASONS)[number]

/** The facts published of its end. */
export interface UnitEndFacts {
  /** `'ended'`: the handler had committed or aborted itself, and nothing was left to do. */
  readonly outcome: 'committed' | 'aborted' | 'ended'
  /** Why it aborted; undefined where it did not. */
  readonly reason: AbortReason | undefined
  /** The error thrown, if there was one. */
  readonly error: unknown
  /** Whether the same work is attempted again. */
  readonly retries: boolean
}

/** A request or run begins. */
export const unitStartChannel = channel('sqlassist:unit:start')
/** A request or run is over. */
export const unitEndChannel = channel('sqlassist:unit:end')
/** A registry is closed. */
export const registryCloseChannel = channel('sqlassist:registry:close')

// The published build goes without these statements; that of the condition `development` has them.
DEBUG: logLife()

function logLife(): void {
  const unitNumber = numbered('unit of work')
  const of = ({ dbSession, attempt }: UnitFacts): string =>
    attempt === 1 ? unitNumber(dbSession) : `${unitNumber(dbSession)} (attempt ${attempt})`
  logChannels({
    plain: [
      [unitStartChannel, (message: UnitFacts) => [of(message), 'start']],
      [
        unitEndChannel,
        (message: UnitFacts & UnitEndFacts) => {
          const { outcome, reason, retries } = message
          return [of(message), `${outcome}${reason === undefined ? '' : `: ${reason}`}${retries ? ', and again' : ''}`]
        },
      ],
      [registryCloseChannel, () => ['the registry', 'close']],
    ],
  })
}
