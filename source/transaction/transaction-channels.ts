import { channel, tracingChannel, type TracingChannel } from 'node:diagnostics_channel'
import type { DataManager } from './data-manager.ts'
import { logChannels, numbered } from './debug-log.ts'
import { labelOf } from './describe.ts'
import type { HookEntry, HookKind } from './hooks.ts'
import type { Savepoint } from './savepoints.ts'
import type { TransactionManager } from './transaction-manager.ts'
import type { Transaction } from './transaction.ts'

/** The part that every message about a transaction has. */
export interface TransactionMessage {
  /** The transaction it is about. */
  readonly transaction: Transaction
}

/** `sqlassist:transaction:begin`: a manager made a transaction. */
export interface BeginMessage extends TransactionMessage {
  /** The manager that made it; undefined for a transaction made without one. */
  readonly manager: TransactionManager | undefined
}

/** `sqlassist:transaction:join`: a data manager joined it. */
export interface JoinMessage extends TransactionMessage {
  /** The data manager that joined. */
  readonly resource: DataManager
}

/** `sqlassist:transaction:call`: a data manager, a hook or a synchronizer is about to be called. */
export interface CallMessage extends TransactionMessage {
  /** The method of the data manager or synchronizer, or the kind of the hook: `tpcVote`, `afterCompletion`, `beforeCommit`. */
  readonly method: string
  /** The data manager or synchronizer, or the hook itself. */
  readonly participant: object
}

/**
 * `sqlassist:transaction:hooks`: hooks of one kind are about to run. A subscriber that calls `hold` takes them over: the
 * transaction does not run them.
 */
export interface HooksMessage extends TransactionMessage {
  /** Which of its hooks. */
  readonly kind: HookKind
  /** The hooks, in the order in which they were added. */
  readonly hooks: readonly HookEntry[]
  /** Whether the commit has succeeded; undefined where there was none. */
  readonly committed: boolean | undefined
  /** Takes them over. */
  readonly hold: () => void
}

/** `sqlassist:transaction:rollback`: a savepoint is rolled back. */
export interface RollbackMessage extends TransactionMessage {
  /** The savepoint that is rolled back. */
  readonly savepoint: Savepoint
}

/** A transaction was begun. */
export const beginChannel = channel('sqlassist:transaction:begin')
/** A data manager joined. */
export const joinChannel = channel('sqlassist:transaction:join')
/** A participant is about to be called. */
export const callChannel = channel('sqlassist:transaction:call')
/** Hooks are about to run. */
export const hooksChannel = channel('sqlassist:transaction:hooks')
/** A commit, from its start to its end. */
export const commitChannel = tracingChannel<TransactionMessage>('sqlassist:transaction:commit')
/** An abort. */
export const abortChannel = tracingChannel<TransactionMessage>('sqlassist:transaction:abort')
/** The making of a savepoint; the savepoint is the `result`. */
export const savepointChannel = tracingChannel<TransactionMessage>('sqlassist:transaction:savepoint')
/** The rollback of a savepoint. */
export const rollbackChannel = tracingChannel<RollbackMessage>('sqlassist:transaction:rollback')

/** Does `work`, and publishes its start and end if the channel has subscribers. */
export function traced<T, Message extends object>(
  tracing: TracingChannel<Message, Message>,
  message: Message,
  work: () => Promise<T>,
): Promise<T> {
  return tracing.hasSubscribers ? tracing.tracePromise(work, message) : work()
}

// Only the build for the condition `development` keeps this statement.
DEBUG: logLife()

function logLife(): void {
  const transactionNumber = numbered('transaction')
  const of = ({ transaction }: TransactionMessage): string =>
    `${transactionNumber(transaction)}${transaction.description === '' ? '' : ` "${transaction.description}"`}`
  logChannels({
    plain: [
      [beginChannel, (message: BeginMessage) => [of(message), 'begin']],
      [joinChannel, (message: JoinMessage) => [of(message), `join ${labelOf(message.resource)}`]],
      [
        callChannel,
        (message: CallMessage) => [of(message), `call ${message.method} of ${labelOf(message.participant)}`],
      ],
    ],
    traced: [
      [commitChannel, (message: TransactionMessage) => [of(message), 'commit']],
      [abortChannel, (message: TransactionMessage) => [of(message), 'abort']],
      [savepointChannel, (message: TransactionMessage) => [of(message), 'savepoint']],
      [rollbackChannel, (message: RollbackMessage) => [of(message), 'roll back to a savepoint']],
    ],
  })
}
