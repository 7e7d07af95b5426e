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

/** Holds the hooks of the transactions that begin in the units of one registry. Those of a commit that failed run. */
export class HookCapture {
  readonly hooks: CapturedHook[] = []
  readonly #registry: object
  readonly #kinds: readonly HookKind[]
  readonly #managers = new WeakSet<TransactionManager>()
  readonly #transactions = new WeakSet<Transaction>()

  constructor(registry: object, kinds: readonly HookKind[]) {
    this.#registry = registry
    this.#kinds = kinds
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
    if (committed === false || !this.#kinds.includes(kind) || !this.#transactions.has(transaction)) return
    this.hooks.push(...hooks.map(({ hook, args }) => ({ kind, hook, args, transaction })))
    hold()
  }

  stop(): void {
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
