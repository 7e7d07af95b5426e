import type { UnitEndMessage } from '../registry/registry-messages.ts'
import type { SessionMessage, StatementMessage, TransactionEndMessage } from '../session/session-channels.ts'
import { SessionDataManager } from '../session/session-data-manager.ts'
import { labelOf } from '../transaction/describe.ts'
import type { CallMessage, JoinMessage, Savepoint, Transaction } from '../transaction/index.ts'
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
import { recordedError } from './recorded-error.ts'
import { recordedStatement } from './recorded-statement.ts'

const NAME_CHARACTERS = 300
const BACKENDS = 20

/** Of these an attempt has no more than are kept. */
type BoundedList = 'statements' | 'ends' | 'steps' | 'transactions'

type Step = Pick<RecordedStep, 'step' | 'subject'> & Partial<Pick<RecordedStep, 'detail'>>

/** Writes down what is told of one attempt. A record holds nothing but text and numbers; what else is needed is here. */
export class AttemptTrace {
  readonly request: RecordedRequest
  readonly attempt: RecordedAttempt
  readonly #limits: DebugPanelLimits
  readonly #now: () => number
  readonly #transactions = new Map<Transaction, { readonly number: number; readonly record: RecordedTransaction }>()
  #transactionCount = 0
  readonly #savepoints = new WeakMap<Savepoint, number>()
  #savepointCount = 0
  /** The call that is under way, by transaction: it is over when the next step comes. */
  readonly #calls = new Map<Transaction, RecordedStep>()

  /** `now` gives the milliseconds since the request began. */
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
    // A request is over when its response is.
    if (request.kind === 'run' && !retries) request.tookMs = endedAt
    for (const transaction of this.#transactions.keys()) this.#describe(transaction)
    this.#transactions.clear()
    this.#calls.clear()
    // Last, since an error can be one that cannot be read.
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
    this.#heardOf(message)
  }

  end(message: TransactionEndMessage): RecordedSpan | undefined {
    this.#heardOf(message)
    // Counted apart from the statements, which would leave no room for the commit.
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
    this.#point({ step: 'join', subject: participant(resource) }, transaction)
  }

  called({ transaction, method, participant: called }: CallMessage): void {
    const call = this.#step({ step: 'call', subject: participant(called), detail: method }, transaction)
    if (call !== undefined) this.#calls.set(transaction, call)
  }

  /** A commit, abort, savepoint or rollback begins. */
  started(step: RecordedStep['step'], transaction: Transaction, savepoint?: Savepoint): RecordedSpan | undefined {
    const number = step === 'savepoint' ? ++this.#savepointCount : this.#numberOf(savepoint)
    return this.#step({ step, subject: number === undefined ? '' : String(number) }, transaction)
  }

  /** It is over; `made` is the savepoint. */
  finished(step: RecordedStep['step'], transaction: Transaction, made: Savepoint | undefined): void {
    this.#endCall(transaction)
    this.#describe(transaction)
    if (made !== undefined) this.#savepoints.set(made, this.#savepointCount)
    // A commit that failed is still to be aborted.
    if (step === 'abort' || transaction.status === 'Committed') this.#transactions.delete(transaction)
  }

  /** Any span is over. */
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
   * Whether one more of these can be kept. All attempts at the request together hold so many; the latest attempt is worth more
   * than those before it.
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

/** A session is known by its role, which its data manager tells only as part of the key it is sorted by. */
function participant(called: object): string {
  if (called instanceof SessionDataManager) return `session ${called.sortKey().replace(/^[^:]*:/, '')}`
  return labelOf(called)
}

function cut(text: string): string {
  return text.length > NAME_CHARACTERS ? `${text.slice(0, NAME_CHARACTERS)}…` : text
}
