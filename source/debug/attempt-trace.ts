import type { UnitEndMessage } from '../registry/registry-messages.ts'
import type {
  FlushMessage,
  SessionMessage,
  StatementMessage,
  TransactionEndMessage,
} from '../session/session-channels.ts'
import { labelOf } from '../transaction/describe.ts'
import type { CallMessage, DataManager, JoinMessage, Savepoint, Transaction } from '../transaction/index.ts'
import type { DebugPanelLimits } from './debug-panel-options.ts'
import type {
  RecordedAttempt,
  RecordedRequest,
  RecordedRole,
  RecordedSpan,
  RecordedStatement,
  RecordedStep,
  RecordedTransaction,
} from './record.ts'
import { recordedChange } from './recorded-change.ts'
import { recordedError } from './recorded-error.ts'
import { recordedServer, recordedStatement } from './recorded-statement.ts'

const NAME_CHARACTERS = 300
const BACKENDS = 20
const CHANGES = 200

/** The lists of an attempt that have a limit. */
type BoundedList = 'statements' | 'ends' | 'steps' | 'transactions'

type Step = Pick<RecordedStep, 'step' | 'subject'> & Partial<Pick<RecordedStep, 'detail'>>

/** Records one attempt. A record holds only text and numbers; references to other objects stay in this class. */
export class AttemptTrace {
  readonly request: RecordedRequest
  readonly attempt: RecordedAttempt
  readonly #limits: DebugPanelLimits
  readonly #now: () => number
  readonly #transactions = new Map<Transaction, { readonly number: number; readonly record: RecordedTransaction }>()
  #transactionCount = 0
  readonly #savepoints = new WeakMap<Savepoint, number>()
  #savepointCount = 0
  /** The call under way, by transaction: it is over when the next step comes. */
  readonly #calls = new Map<Transaction, RecordedStep>()

  /** `now` returns the milliseconds since the request began. */
  constructor(
    request: RecordedRequest,
    attempt: number,
    roles: readonly string[],
    limits: DebugPanelLimits,
    now: () => number,
  ) {
    this.request = request
    this.#limits = limits
    this.#now = now
    this.attempt = newAttempt(attempt, roles, now())
    request.attempts.push(this.attempt)
  }

  ended({ outcome, reason, error, retries }: UnitEndMessage): void {
    const { attempt, request } = this
    const endedAt = this.#now()
    attempt.outcome = outcome
    attempt.reason = reason
    attempt.retries = retries
    attempt.tookMs = endedAt - attempt.atMs
    // A request ends with its response, a run with its last attempt.
    if (request.kind === 'run' && !retries) request.tookMs = endedAt
    for (const transaction of this.#transactions.keys()) this.#describe(transaction)
    this.#transactions.clear()
    this.#calls.clear()
    // Comes last: reading an error may throw.
    if (error !== undefined) attempt.error = this.error(error)
  }

  opened({ role, state }: SessionMessage): void {
    Object.assign(this.#role(role), { status: 'START', state })
    this.#point({ step: 'open', subject: role })
  }

  closed({ role, state }: SessionMessage, reason: string): void {
    Object.assign(this.#role(role), { status: 'END', state })
    this.#point({ step: 'close', subject: role, detail: reason })
  }

  statement(message: StatementMessage): RecordedStatement | undefined {
    const role = this.#heardOf(message)
    role.statements++
    if (!this.#hasRoom('statements')) {
      this.attempt.dropped.statements++
      return undefined
    }
    const statement = recordedStatement(message, this.#now(), this.#limits)
    this.attempt.statements.push(statement)
    return statement
  }

  statementEnded(message: StatementMessage, statement: RecordedStatement): void {
    statement.rows = message.rows
    statement.backend = message.backend
    statement.servedBy = recordedServer(message)
    this.#heardOf(message)
  }

  flushed({ role, changes }: FlushMessage): void {
    const recorded = (this.attempt.changes ??= { entries: [], dropped: 0 })
    const room = changes.slice(0, CHANGES - recorded.entries.length)
    recorded.entries.push(...room.map((change) => recordedChange(change, role, this.#now(), this.#limits)))
    recorded.dropped += changes.length - room.length
  }

  end(message: TransactionEndMessage): RecordedSpan | undefined {
    this.#heardOf(message)
    // Limited apart from the statements, which would leave no room for the commit.
    if (!this.#hasRoom('ends')) return undefined
    const { role, how, gid, decides = false, backend } = message
    const end = { ...this.#span(), role, how, gid, decides, backend }
    this.attempt.ends.push(end)
    return end
  }

  began(transaction: Transaction): void {
    const record = { description: '', user: '', status: '' }
    this.#transactions.set(transaction, { number: ++this.#transactionCount, record })
    if (this.#hasRoom('transactions')) this.attempt.transactions.push(record)
    this.#point({ step: 'begin', subject: '' }, transaction)
  }

  joined({ transaction, resource }: JoinMessage): void {
    this.#point({ step: 'join', subject: participantName(resource) }, transaction)
  }

  called({ transaction, method, participant: called }: CallMessage): void {
    const call = this.#step({ step: 'call', subject: participantName(called), detail: method }, transaction)
    if (call !== undefined) this.#calls.set(transaction, call)
  }

  /** Starts the step of a commit, abort, savepoint or rollback. */
  started(step: RecordedStep['step'], transaction: Transaction, savepoint?: Savepoint): RecordedSpan | undefined {
    const number = step === 'savepoint' ? ++this.#savepointCount : this.#numberOf(savepoint)
    return this.#step({ step, subject: number === undefined ? '' : String(number) }, transaction)
  }

  /** Ends a step; `made` is the savepoint it made. */
  finished(step: RecordedStep['step'], transaction: Transaction, made: Savepoint | undefined): void {
    this.#endCall(transaction)
    this.#describe(transaction)
    if (made !== undefined) this.#savepoints.set(made, this.#savepointCount)
    // A commit that failed is still to be aborted.
    if (step === 'abort' || transaction.status === 'Committed') this.#transactions.delete(transaction)
  }

  /** Ends a span. */
  finishSpan(span: RecordedSpan, error: unknown): void {
    span.tookMs = this.#now() - span.atMs
    if (error !== undefined) span.error = this.error(error)
  }

  error(error: unknown): RecordedSpan['error'] {
    return recordedError(error, this.#limits.hideParameters)
  }

  #numberOf(savepoint: Savepoint | undefined): number | undefined {
    return savepoint === undefined ? undefined : this.#savepoints.get(savepoint)
  }

  #point(step: Step, transaction?: Transaction): void {
    const recorded = this.#step(step, transaction)
    if (recorded !== undefined) recorded.tookMs = 0
  }

  #step({ step, subject, detail = '' }: Step, transaction?: Transaction): RecordedStep | undefined {
    if (transaction !== undefined) {
      this.#endCall(transaction)
      this.#describe(transaction)
    }
    if (!this.#hasRoom('steps')) {
      this.attempt.dropped.steps++
      return undefined
    }
    const number = transaction === undefined ? undefined : this.#transactions.get(transaction)?.number
    const recorded = { ...this.#span(), step, subject: cut(subject), detail: cut(detail), transaction: number }
    this.attempt.steps.push(recorded)
    return recorded
  }

  #endCall(transaction: Transaction): void {
    const call = this.#calls.get(transaction)
    if (call !== undefined) call.tookMs = this.#now() - call.atMs
    this.#calls.delete(transaction)
  }

  #describe(transaction: Transaction): void {
    const known = this.#transactions.get(transaction)
    if (known === undefined) return
    known.record.description = cut(transaction.description)
    known.record.user = cut(transaction.user)
    known.record.status = transaction.status
  }

  #span(): RecordedSpan {
    return { atMs: this.#now(), tookMs: undefined, error: undefined }
  }

  /**
   * Whether the list has room for one more entry. The limit is for all attempts of a request together.
   *
   * Drops entries of earlier attempts in favour of the latest one.
   */
  #hasRoom(list: BoundedList): boolean {
    const { attempts } = this.request
    while (attempts.reduce((sum, attempt) => sum + attempt[list].length, 0) >= this.#limits.statements) {
      const earlier = attempts.find((attempt) => attempt !== this.attempt && attempt[list].length > 0)
      if (earlier === undefined) return false
      const dropped = earlier[list].splice(0).length
      if (list === 'statements' || list === 'steps') earlier.dropped[list] += dropped
    }
    return true
  }

  #heardOf({ role, state, backend }: SessionMessage & { readonly backend?: number | undefined }): RecordedRole {
    const recorded = this.#role(role)
    if (recorded.status !== 'END') recorded.state = state
    const { backends } = recorded
    if (backend !== undefined && !backends.includes(backend) && backends.length < BACKENDS) backends.push(backend)
    return recorded
  }

  #role(role: string): RecordedRole {
    const known = this.attempt.roles.find((each) => each.role === role)
    if (known !== undefined) return known
    const added = newRole(role)
    this.attempt.roles.push(added)
    return added
  }
}

function newAttempt(attempt: number, roles: readonly string[], atMs: number): RecordedAttempt {
  return {
    atMs,
    tookMs: undefined,
    error: undefined,
    attempt,
    outcome: undefined,
    reason: undefined,
    retries: false,
    transactions: [],
    roles: roles.map(newRole),
    statements: [],
    ends: [],
    steps: [],
    dropped: { statements: 0, steps: 0 },
  }
}

function newRole(role: string): RecordedRole {
  return { role, status: 'INIT', state: undefined, backends: [], statements: 0 }
}

/** Names a participant by its label, or by its class or function. */
function participantName(called: object): string {
  const { label } = called as Partial<DataManager>
  return typeof label === 'string' ? label : labelOf(called)
}

function cut(text: string): string {
  return text.length > NAME_CHARACTERS ? `${text.slice(0, NAME_CHARACTERS)}…` : text
}
