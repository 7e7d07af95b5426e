import type { HookEntry, HookKind, HooksMessage, Transaction, TransactionManager } from '../../transaction/index.ts'
import { beginChannel, hooksChannel, type BeginMessage } from '../../transaction/transaction-channels.ts'
import { unitStartChannel, type UnitFacts } from '../../unit/unit-channels.ts'

/** A hook that was to run, and was held. */
export interface CapturedHook extends HookEntry {
  /** Which of the transaction's hooks. */
  readonly kind: HookKind
  /** The transaction that it was added to. */
  readonly transaction: Transaction
}

/** Which hooks are held, and what becomes of them. */
export interface CaptureOptions {
  /** Whether they run once the work is done, with those that they lead to. Default `false`. */
  readonly run?: boolean | undefined
  /** Which ones. Default `['afterCommit']`. */
  readonly kinds?: readonly HookKind[] | undefined
}

export const HOOK_KINDS = ['beforeCommit', 'afterCommit', 'beforeAbort', 'afterAbort'] as const

/** One call of `captureHooks()`, as long as it is under way. */
interface HookCapture {
  readonly kinds: readonly HookKind[]
  readonly hooks: CapturedHook[]
}

/** Holds the hooks of the transactions in the units of one registry, while they are captured. Those of a commit that failed run. */
export class HookCaptures {
  readonly #registry: object
  readonly #managers = new WeakSet<TransactionManager>()
  /** Also those that begin before they are captured. */
  readonly #transactions = new WeakSet<Transaction>()
  /** Those under way, the last one innermost. */
  readonly #captures: HookCapture[] = []

  constructor(registry: object) {
    this.#registry = registry
    unitStartChannel.subscribe(this.#noteUnit)
    beginChannel.subscribe(this.#noteBegin)
    hooksChannel.subscribe(this.#hold)
  }

  readonly #noteUnit = (message: unknown): void => {
    const { registry, tm } = message as UnitFacts
    if (registry === this.#registry) this.#managers.add(tm)
  }

  readonly #noteBegin = (message: unknown): void => {
    const { manager, transaction } = message as BeginMessage
    if (manager !== undefined && this.#managers.has(manager)) this.#transactions.add(transaction)
  }

  readonly #hold = (message: unknown): void => {
    const { transaction, kind, hooks, committed, hold } = message as HooksMessage
    if (committed === false || !this.#transactions.has(transaction)) return
    const capture = this.#captures.findLast(({ kinds }) => kinds.includes(kind))
    if (capture === undefined) return
    capture.hooks.push(...hooks.map(({ hook, args }) => ({ kind, hook, args, transaction })))
    hold()
  }

  /** Does `work` while hooks of these kinds are held, and returns them. They grow meanwhile. @throws as `work` */
  async during(
    kinds: readonly HookKind[],
    work: (hooks: readonly CapturedHook[]) => Promise<void>,
  ): Promise<readonly CapturedHook[]> {
    const capture: HookCapture = { kinds, hooks: [] }
    this.#captures.push(capture)
    try {
      await work(capture.hooks)
      return capture.hooks
    } finally {
      this.#captures.splice(this.#captures.indexOf(capture), 1)
    }
  }

  close(): void {
    unitStartChannel.unsubscribe(this.#noteUnit)
    beginChannel.unsubscribe(this.#noteBegin)
    hooksChannel.unsubscribe(this.#hold)
  }
}

/** Runs hooks as their transaction would have. @throws what the first of them throws, where production reports it */
export async function runHooks(hooks: readonly CapturedHook[]): Promise<void> {
  for (const { kind, hook, args } of hooks) {
    const before = kind === 'afterCommit' ? [true] : []
    await (hook as (...args: unknown[]) => unknown)(...before, ...args)
  }
}
