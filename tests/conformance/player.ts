import {
  type Attempt,
  type DataManager,
  type Savepoint,
  type Synchronizer,
  Transaction,
  TransactionManager,
} from '../../source/transaction/index.ts'
import { classOf, labelOf, makeError, UnknownInScenario } from './errors.ts'
import { type RefusedFeature, refusalOf } from './refusals.ts'
import type { Action, Behaviour, Fault, HookKind, Scenario, Step } from './scenario.ts'
import { show } from './show.ts'

/** How participants answer: as soon as they can, or always by a promise. Both must give the same trace. */
export type Answers = 'at once' | 'later'

/** What playing a scenario gave. */
export interface Playing {
  readonly trace: readonly string[]
  /** The calls that this library forbids on purpose, in the order they were made. */
  readonly refusals: readonly Refusal[]
}

/** A call that was refused, with the place of its outcome in the trace. */
export interface Refusal {
  readonly feature: RefusedFeature
  readonly at: number
  /** Whether a step made the call, and not the library itself in doing one: the features of a scenario speak of steps. */
  readonly byStep: boolean
}

/** Where a step stands. */
interface Place {
  readonly nested: boolean
  /** The transaction passed to the callback being run. */
  readonly argument?: Transaction | undefined
  /** The try of the body being run. */
  readonly tryNumber?: number
}

const unbound = 'unbound'

/** Plays a scenario with fresh participants and a fresh manager. */
export async function play(scenario: Scenario, answers: Answers): Promise<Playing> {
  const player = new Player(scenario, answers)
  await player.steps(scenario.steps, { nested: false })
  return player
}

class Player implements Playing {
  readonly trace: string[] = []
  readonly refusals: Refusal[] = []
  readonly #manager: TransactionManager
  readonly #answers: Answers
  readonly #resources = new Map<string, DataManager>()
  readonly #synchronizers = new Map<string, Synchronizer>()
  readonly #hooks = new Map<string, { readonly kind: HookKind; readonly hook: (...args: unknown[]) => unknown }>()
  readonly #objects = new Map<string, object>()
  readonly #transactions = new Map<string, Transaction>()
  readonly #bare = new Set<Transaction>()
  readonly #savepoints = new Map<string, Savepoint>()
  /** The step at work, the innermost one. */
  #op = ''

  constructor(scenario: Scenario, answers: Answers) {
    this.#answers = answers
    this.#manager = new TransactionManager({ explicit: scenario.manager.explicit, onSuppressedError: () => {} })
    this.#watchCommit()
    for (const [name, declaration] of Object.entries(scenario.resources ?? {})) {
      this.#resources.set(name, this.#resource(name, declaration))
    }
    for (const [name, behaviour] of Object.entries(scenario.synchronizers ?? {})) {
      this.#synchronizers.set(name, this.#synchronizer(name, behaviour))
    }
    for (const [name, behaviour] of Object.entries(scenario.hooks ?? {})) {
      const hook = this.#caller(name, undefined, behaviour)
      this.#hooks.set(name, {
        kind: behaviour.kind,
        hook: (...args) => hook(args.length === 0 ? name : `${name}(${args.map(show).join(',')})`, undefined),
      })
    }
  }

  async steps(steps: readonly Step[], place: Place): Promise<void> {
    for (const step of steps) {
      if (step.on !== undefined && place.tryNumber !== undefined && !step.on.includes(place.tryNumber)) continue
      const outer = this.#op
      this.#op = step.op
      try {
        this.trace.push(await this.#step(step, place))
      } catch (error) {
        if (error instanceof UnknownInScenario) throw error
        this.#noteRefusal(error, true, this.#named(step, place))
        this.trace.push(`raise ${labelOf(error)}`)
        if (place.nested && step.catch !== true) throw error
      } finally {
        this.#op = outer
      }
    }
  }

  #noteRefusal(error: unknown, byStep: boolean, transaction?: Transaction): void {
    const feature = refusalOf(error)
    if (feature === undefined) return
    const isBare = transaction !== undefined && this.#bare.has(transaction)
    this.refusals.push({ feature: isBare ? 'bare' : feature, at: this.trace.length, byStep })
  }

  /** `run` and `attempts` commit by themselves, and a refusal has to be noted where it comes, not where they end. */
  #watchCommit(): void {
    const manager = this.#manager
    const commit = manager.commit.bind(manager)
    manager.commit = async () => {
      try {
        await commit()
      } catch (error) {
        this.#noteRefusal(error, this.#op === 'commit')
        throw error
      }
    }
  }

  // Participants

  #resource(
    name: string,
    declaration: Behaviour & { sortKey?: string; savepoints?: string; retryable?: readonly string[] },
  ) {
    const { sortKey, savepoints, retryable } = declaration
    const call = (method: string) => {
      const caller = this.#caller(name, method, declaration)
      return (transaction: Transaction) => caller(`${name}.${method}`, transaction)
    }
    const resource: Partial<DataManager> = {
      abort: call('abort'),
      tpcBegin: call('tpc_begin'),
      commit: call('commit'),
      tpcVote: call('tpc_vote'),
      tpcFinish: call('tpc_finish'),
      tpcAbort: call('tpc_abort'),
    }
    if (sortKey !== undefined) {
      const fault = faultOf(name, 'sortKey', declaration)
      let calls = 0
      resource.sortKey = () => {
        const error = fault(++calls)
        if (error !== undefined) throw error
        return sortKey
      }
    }
    if (savepoints === 'rollback') {
      const savepoint = this.#caller(name, 'savepoint', declaration)
      const rollback = this.#caller(name, 'savepoint_rollback', declaration)
      let made = 0
      resource.savepoint = () => {
        const number = ++made
        const part = { rollback: () => rollback(`${name}.savepoint_rollback(${number})`, undefined) }
        return savepoint(`${name}.savepoint`, undefined, part)
      }
    }
    if (retryable !== undefined) {
      const shouldRetry = this.#caller(name, 'should_retry', declaration)
      resource.shouldRetry = (error) =>
        shouldRetry(`${name}.should_retry(${classOf(error)})`, undefined, retryable.includes(classOf(error)))
    }
    return resource as DataManager
  }

  #synchronizer(name: string, behaviour: Behaviour): Synchronizer {
    const call = (method: string) => {
      const caller = this.#caller(name, method, behaviour)
      return (transaction: Transaction) => caller(`${name}.${method}`, transaction)
    }
    return {
      beforeCompletion: call('beforeCompletion'),
      afterCompletion: call('afterCompletion'),
      newTransaction: call('newTransaction'),
    }
  }

  /** One method of a participant: event, actions, fault, answer. */
  #caller(name: string, method: string | undefined, behaviour: Behaviour) {
    const actions = (behaviour.actions ?? []).filter((action: Action) => action.method === method)
    const fault = faultOf(name, method, behaviour)
    let calls = 0
    return <T = void>(event: string, argument: Transaction | undefined, answer?: T): T | Promise<T> => {
      const call = ++calls
      this.trace.push(event)
      const due = actions.filter((action) => action.nth === undefined || action.nth === call)
      const end = (): T => {
        const error = fault(call)
        if (error !== undefined) throw error
        return answer as T
      }
      if (due.length === 0 && this.#answers === 'at once') return end()
      return this.#later(due, argument).then(end)
    }
  }

  async #later(actions: readonly Action[], argument: Transaction | undefined): Promise<void> {
    for (const action of actions) await this.steps(action.steps, { nested: true, argument })
  }

  // Steps

  /** Does what a step says and gives its outcome. */
  async #step(step: Step, place: Place): Promise<string> {
    if (step.txn !== undefined && this.#named(step, place) === undefined) return unbound
    if (step.op === 'rollback' || step.op === 'valid') return await this.#savepointStep(step)
    const value = await this.#onManager(step, place)
    if (value === notOnManager)
      return ok(await this.#onTransaction(step, this.#named(step, place) ?? this.#manager.get()))
    return ok(value)
  }

  #named(step: Step, place: Place): Transaction | undefined {
    if (step.txn === undefined) return undefined
    return step.txn === '$arg' ? place.argument : this.#transactions.get(step.txn)
  }

  async #savepointStep(step: Step): Promise<string> {
    const savepoint = this.#savepoints.get(step.savepoint as string)
    if (savepoint === undefined) return unbound
    return ok(step.op === 'valid' ? savepoint.valid : await savepoint.rollback())
  }

  async #onManager(step: Step, place: Place): Promise<unknown> {
    const manager = this.#manager
    const target = this.#named(step, place) ?? manager
    switch (step.op) {
      case 'begin':
        return this.#remember(step, await manager.begin())
      case 'get':
        return this.#remember(step, manager.get())
      case 'bare':
        return this.#remember(step, this.#makeBare())
      case 'same':
        return manager.get() === target
      case 'free':
        return manager.free(target as Transaction)
      case 'commit':
        return await target.commit()
      case 'abort':
        return await target.abort()
      case 'doom':
        return target.doom()
      case 'isDoomed':
        return target.isDoomed()
      case 'savepoint': {
        const savepoint = await target.savepoint(
          step.optimistic === undefined ? undefined : { optimistic: step.optimistic },
        )
        if (step.as !== undefined) this.#savepoints.set(step.as, savepoint)
        return undefined
      }
      case 'registerSynch':
        return await manager.registerSynch(find(this.#synchronizers, step.synch))
      case 'unregisterSynch':
        return manager.unregisterSynch(find(this.#synchronizers, step.synch))
      case 'clearSynchs':
        return manager.clearSynchs()
      case 'registeredSynchs':
        return manager.registeredSynchs()
      case 'explicit':
        return manager.explicit
      case 'run':
        return await this.#run(step, place)
      case 'attempts':
        return await this.#attempts(
          step,
          place,
          step.number === undefined ? manager.attempts() : manager.attempts(step.number),
        )
      case 'with':
        return await this.#attempts(step, place, manager.attempts(1))
      case 'raise':
        throw makeError(step.error as string, step.tag ?? 'raise')
      default:
        return notOnManager
    }
  }

  async #onTransaction(step: Step, transaction: Transaction): Promise<unknown> {
    switch (step.op) {
      case 'status':
        return transaction.status
      case 'join':
        return transaction.join(find(this.#resources, step.resource))
      case 'addHook':
        return this.#addHook(step, transaction)
      case 'getHooks':
        return this.#pendingHooks(step.kind as HookKind, transaction)
      case 'note':
        return transaction.note(step.text as string | null)
      case 'setUser':
        return transaction.setUser(step.user as string, step.path)
      case 'assignUser':
        transaction.user = step.value as string
        return undefined
      case 'assignDescription':
        transaction.description = step.value as string | null
        return undefined
      case 'user':
        return transaction.user
      case 'description':
        return transaction.description
      case 'setExtendedInfo':
        return transaction.setExtendedInfo(step.key as string, step.value)
      case 'extension':
        return transaction.extension
      case 'setData':
        return transaction.setData(this.#object(step), step.value)
      case 'data':
        return transaction.data(this.#object(step))
      case 'isRetryable':
        return await transaction.isRetryableError(makeError(step.error as string, 'isRetryable'))
      default:
        throw new UnknownInScenario(`the step ${step.op}`)
    }
  }

  #makeBare(): Transaction {
    const transaction = new Transaction()
    this.#bare.add(transaction)
    return transaction
  }

  #remember(step: Step, transaction: Transaction): void {
    if (step.as !== undefined) this.#transactions.set(step.as, transaction)
  }

  async #run(step: Step, place: Place): Promise<unknown> {
    let tryNumber = 0
    const work = async () => {
      this.trace.push(`try#${++tryNumber}`)
      await this.steps(step.body ?? [], { ...place, nested: true, tryNumber })
      return step.result
    }
    Object.defineProperty(work, 'name', { value: step.name ?? '_' })
    return await this.#manager.run(work, { attempts: step.tries, doc: step.doc })
  }

  async #attempts(step: Step, place: Place, attempts: AsyncIterable<Attempt>): Promise<void> {
    for await (const attempt of attempts) {
      await attempt.run(async () => {
        const tryNumber = attempt.number
        this.trace.push(`try#${tryNumber}`)
        await this.steps(step.body ?? [], { ...place, nested: true, tryNumber })
      })
    }
  }

  #addHook(step: Step, transaction: Transaction): void {
    const { kind, hook } = find(this.#hooks, step.hook)
    const args = step.args ?? []
    if (kind === 'beforeCommit') transaction.addBeforeCommitHook(hook, ...args)
    else if (kind === 'afterCommit') transaction.addAfterCommitHook(hook, ...args)
    else if (kind === 'beforeAbort') transaction.addBeforeAbortHook(hook, ...args)
    else transaction.addAfterAbortHook(hook, ...args)
  }

  #pendingHooks(kind: HookKind, transaction: Transaction): string {
    const names = new Map([...this.#hooks].map(([name, { hook }]) => [hook as unknown, name]))
    return transaction[`${kind}Hooks`].map(({ hook }) => names.get(hook)).join(',')
  }

  /** One object for each name. */
  #object(step: Step): object {
    const name = step.object as string
    if (!this.#objects.has(name)) this.#objects.set(name, { name })
    return this.#objects.get(name) as object
  }
}

const notOnManager = Symbol('not a step on the manager')

function ok(value: unknown): string {
  return value === undefined ? 'ok' : `ok:${show(value)}`
}

function faultOf(
  name: string,
  method: string | undefined,
  { faults = [] }: Behaviour,
): (call: number) => Error | undefined {
  const own = faults.filter((fault: Fault) => fault.method === method)
  return (call) => {
    const fault = own.find(({ nth }) => nth === call)
    if (fault === undefined) return undefined
    return makeError(fault.error, `${method === undefined ? name : `${name}.${method}`}#${call}`)
  }
}

function find<T>(declared: ReadonlyMap<string, T>, name: string | undefined): T {
  const found = declared.get(name as string)
  if (found === undefined) throw new UnknownInScenario(`a participant named ${name}`)
  return found
}
