import type { Context } from 'koa'
import { registryCloseChannel, unitEndChannel, unitStartChannel } from '../unit/unit-channels.ts'
import type { RegistryCloseMessage, UnitEndMessage, UnitMessage } from '../registry/registry-messages.ts'
import type { EngineRegistry } from '../registry/engine-registry.ts'
import {
  flushChannel,
  sessionCloseChannel,
  sessionOpenChannel,
  statementChannel,
  transactionEndChannel,
  type FlushMessage,
  type SessionCloseMessage,
  type SessionMessage,
} from '../session/session-channels.ts'
import {
  abortChannel,
  beginChannel,
  callChannel,
  commitChannel,
  joinChannel,
  rollbackChannel,
  savepointChannel,
} from '../transaction/transaction-channels.ts'
import type {
  BeginMessage,
  CallMessage,
  JoinMessage,
  Savepoint,
  Transaction,
  TransactionManager,
} from '../transaction/index.ts'
import { AttemptTrace } from './attempt-trace.ts'
import type { DebugPanelLimits } from './debug-panel-options.ts'
import type { RecordedRequest, RecordedSpan, RecordedStatement, RecordedStep } from './record.ts'
import { RequestLog } from './request-log.ts'
import { Subscriptions } from './subscriptions.ts'

const ATTEMPTS = 20
const URL_CHARACTERS = 2000

/** The record of a request, and the clock of its times. */
interface Recording {
  readonly request: RecordedRequest
  readonly now: () => number
}

/** Listens to the library's diagnostics channels, and records the requests and runs of one registry. */
export class Recorder {
  readonly log: RequestLog
  readonly #registry: EngineRegistry
  readonly #limits: DebugPanelLimits
  readonly #subscriptions = new Subscriptions()
  readonly #onClose: () => void
  /** When a request came in, where `arrived` was called for it. */
  readonly #arrivals = new WeakMap<object, number>()
  readonly #recordings = new WeakMap<object, Recording>()
  // Maps the objects that messages name to their attempts.
  readonly #byContainer = new WeakMap<object, AttemptTrace>()
  readonly #byManager = new WeakMap<TransactionManager, AttemptTrace>()
  readonly #byTransaction = new WeakMap<Transaction, AttemptTrace>()

  /** `onClose` is called when the registry was closed. */
  constructor(registry: EngineRegistry, limits: DebugPanelLimits, onClose: () => void) {
    this.#registry = registry
    this.#limits = limits
    this.#onClose = onClose
    this.log = new RequestLog(limits.keep)
    this.#listenToUnits()
    this.#listenToSessions()
    this.#listenToTransactions()
  }

  /** Stops recording and unsubscribes from every channel. */
  close(): void {
    this.#subscriptions.end()
  }

  /** Notes that a request came in, whose unit of work may become known later. */
  arrived(ctx: Context): void {
    this.#arrivals.set(ctx, performance.now())
  }

  /** Returns the record of the request so far; undefined if no unit of work of the registry belongs to it. */
  requestOf(ctx: Context): RecordedRequest | undefined {
    return this.#recordings.get(ctx)?.request
  }

  #listenToUnits(): void {
    this.#subscriptions.add(unitStartChannel, (message: UnitMessage) => {
      if (message.registry === this.#registry) this.#started(message)
    })
    this.#subscriptions.add(unitEndChannel, (message: UnitEndMessage) => {
      this.#withTrace(this.#byContainer.get(message.dbSession), (trace) => this.#ended(trace, message))
    })
    this.#subscriptions.add(registryCloseChannel, ({ registry }: RegistryCloseMessage) => {
      if (registry === this.#registry) this.#onClose()
    })
  }

  #listenToSessions(): void {
    const traceOf = ({ dbSession }: SessionMessage): AttemptTrace | undefined =>
      dbSession === undefined ? undefined : this.#byContainer.get(dbSession)
    this.#subscriptions.add(sessionOpenChannel, (message: SessionMessage) => {
      this.#withTrace(traceOf(message), (trace) => {
        trace.request.property ??= propertyOf(message.owner, message.dbSession)
        trace.opened(message)
      })
    })
    this.#subscriptions.add(sessionCloseChannel, (message: SessionCloseMessage) => {
      this.#withTrace(traceOf(message), (trace) => trace.closed(message, message.reason))
    })
    this.#subscriptions.add(flushChannel, (message: FlushMessage) => {
      this.#withTrace(traceOf(message), (trace) => trace.flushed(message))
    })
    this.#subscriptions.addTracing(statementChannel, {
      start: (message) => this.#withTrace(traceOf(message), (trace) => trace.statement(message)),
      end: (message, span, error) =>
        this.#withTrace(traceOf(message), (trace) => {
          if (span === undefined) return
          trace.statementEnded(message, span as RecordedStatement)
          trace.finishSpan(span, error)
        }),
    })
    this.#subscriptions.addTracing(transactionEndChannel, {
      start: (message) => this.#withTrace(traceOf(message), (trace) => trace.end(message)),
      end: (message, span, error) => this.#withTrace(traceOf(message), (trace) => finish(trace, span, error)),
    })
  }

  #listenToTransactions(): void {
    this.#subscriptions.add(beginChannel, ({ transaction, manager }: BeginMessage) => {
      const trace = manager === undefined ? undefined : this.#byManager.get(manager)
      if (trace === undefined || trace.attempt.outcome !== undefined) return
      this.#byTransaction.set(transaction, trace)
      this.#withTrace(trace, () => trace.began(transaction))
    })
    this.#subscriptions.add(joinChannel, (message: JoinMessage) => {
      this.#withTrace(this.#byTransaction.get(message.transaction), (trace) => trace.joined(message))
    })
    this.#subscriptions.add(callChannel, (message: CallMessage) => {
      this.#withTrace(this.#byTransaction.get(message.transaction), (trace) => trace.called(message))
    })
    this.#traceStep('commit', commitChannel)
    this.#traceStep('abort', abortChannel)
    this.#traceStep('savepoint', savepointChannel)
    this.#traceStep('rollback', rollbackChannel)
  }

  #traceStep(step: RecordedStep['step'], channel: Parameters<Subscriptions['addTracing']>[0]): void {
    type Message = {
      readonly transaction: Transaction
      readonly savepoint?: Savepoint
      readonly result?: Savepoint
    }
    this.#subscriptions.addTracing<Message>(channel as never, {
      start: ({ transaction, savepoint }) =>
        this.#withTrace(this.#byTransaction.get(transaction), (trace) => trace.started(step, transaction, savepoint)),
      end: ({ transaction, result }, span, error) =>
        this.#withTrace(this.#byTransaction.get(transaction), (trace) => {
          trace.finished(step, transaction, result)
          finish(trace, span, error)
        }),
    })
  }

  #started({ dbSession, tm, series, attempt }: UnitMessage): void {
    const known = this.#recordings.get(series)
    const recording = known ?? this.#newRecording(series)
    this.#recordings.set(series, recording)
    const { request, now } = recording
    const trace = new AttemptTrace(request, attempt, this.#registry.names, this.#limits, now)
    if (request.attempts.length > ATTEMPTS) {
      request.attempts.shift()
      request.droppedAttempts++
    }
    this.#byContainer.set(dbSession, trace)
    this.#byManager.set(tm, trace)
    if (known === undefined) this.log.add(request)
    else this.log.changed(request)
  }

  #newRecording(series: object): Recording {
    // The owner of a run may be a ctx as well.
    const ctx = isContext(series) ? series : undefined
    const origin = (ctx && this.#arrivals.get(ctx)) ?? performance.now()
    const now = (): number => performance.now() - origin
    const request: RecordedRequest = {
      id: this.log.newId(),
      kind: ctx === undefined ? 'run' : 'request',
      startedAt: Date.now() - now(),
      method: ctx?.method,
      url: ctx && shownUrl(ctx.originalUrl, this.#limits.hideParameters),
      property: undefined,
      status: undefined,
      clientLeft: false,
      tookMs: undefined,
      attempts: [],
      droppedAttempts: 0,
    }
    const recording = { request, now }
    if (ctx !== undefined) this.#watchResponse(ctx, recording)
    return recording
  }

  #watchResponse({ res }: Context, { request, now }: Recording): void {
    res.once('close', () => {
      request.clientLeft = !res.writableFinished
      request.status = res.headersSent ? res.statusCode : undefined
      request.tookMs = now()
      this.log.changed(request)
    })
  }

  #ended(trace: AttemptTrace, message: UnitEndMessage): void {
    const { request } = trace
    request.property ??= propertyOf(message.owner, message.dbSession)
    trace.ended(message)
  }

  #withTrace<T>(trace: AttemptTrace | undefined, note: (trace: AttemptTrace) => T): T | undefined {
    if (trace === undefined) return undefined
    const noted = note(trace)
    this.log.changed(trace.request)
    return noted
  }
}

function finish(trace: AttemptTrace, span: RecordedSpan | undefined, error: unknown): void {
  if (span !== undefined) trace.finishSpan(span, error)
}

function isContext(series: object): series is Context {
  return 'req' in series && 'res' in series
}

/** The name of the property that holds the container. */
function propertyOf(owner: unknown, container: unknown): string | undefined {
  if (typeof owner !== 'object' || owner === null) return undefined
  const entries = Object.entries(Object.getOwnPropertyDescriptors(owner))
  return entries.find(([, { value }]) => value === container)?.[0]
}

function shownUrl(url: string, hidden: boolean): string {
  const shown = hidden ? url.replace(/\?.+/s, '?…') : url
  return shown.length > URL_CHARACTERS ? `${shown.slice(0, URL_CHARACTERS)}…` : shown
}
