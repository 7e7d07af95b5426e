import { EventManager, EventType, type EventSubscriber, type TransactionEventArgs } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import type { Kysely } from 'kysely'
import { report } from '../transaction/warnings.ts'
import type { Activity } from './activity.ts'
import { ContextValue } from '../transaction/context-value.ts'

const EVENTS = [
  EventType.beforeTransactionStart,
  EventType.afterTransactionStart,
  EventType.beforeTransactionCommit,
  EventType.afterTransactionCommit,
  EventType.beforeTransactionRollback,
  EventType.afterTransactionRollback,
] as const
type TransactionEvent = (typeof EVENTS)[number]

const OF_THE_END: readonly string[] = EVENTS.filter((event) => !event.endsWith('Start'))

/** `subscriber` with nothing but what it hears of the end of a transaction; none where that is nothing. */
export function onlyItsEnd(subscriber: EventSubscriber): EventSubscriber[] {
  const events = OF_THE_END.filter((event) => event in subscriber) as (keyof EventSubscriber)[]
  if (events.length === 0) return []
  return [Object.fromEntries(events.map((event) => [event, (args: any): unknown => subscriber[event]?.(args)]))]
}

/** The session whose database transaction the events are about. */
export interface EventsHost {
  readonly role: string
  readonly em: SqlEntityManager
  /** The transaction context of the entity manager. */
  readonly context: Kysely<any> | undefined
  readonly activity: Activity
}

/** The transaction, as far as it decides whether there will be a commit. */
interface Committable {
  readonly needsCommit: boolean
  readonly needsValidation: boolean
  readonly writes: { readonly mayTurnOutChanged: boolean }
  settleUnmarkedWrites(): Promise<void> | undefined
}

/** Subscribers that are being called, and those around them. */
interface Call {
  readonly events: TransactionEvents
  readonly outer: Call | undefined
}

const current = new ContextValue<Call>('subscriber')

/** What MikroORM's subscribers hear of one database transaction of a session: each event once, when it is true. */
export class TransactionEvents {
  readonly #host: EventsHost
  /** The subscribers of nested transactions that have become part of it. */
  #adopted: EventManager | undefined
  /** What the subscribers of the entity manager hear, as last seen. */
  #heard: EventsHeard | undefined
  #isCommitAnnounced = false
  #isCommitted = false
  #isEndSent = false
  #underRollback: Promise<void> | undefined

  constructor(host: EventsHost) {
    this.#host = host
  }

  /** Whether the running code was called by one of its subscribers. */
  get isInside(): boolean {
    for (let call = current.get(); call !== undefined; call = call.outer) if (call.events === this) return true
    return false
  }

  // The beginning

  /** Whether somebody hears that it begins. */
  get hearsStart(): boolean {
    return this.#hears(EventType.beforeTransactionStart) || this.hearsAfterStart
  }

  /** Whether somebody hears that it has begun, and may send something ahead of the first statement. */
  get hearsAfterStart(): boolean {
    return this.#hears(EventType.afterTransactionStart)
  }

  /** @throws what a subscriber throws */
  async beforeStart(): Promise<void> {
    await this.#send(EventType.beforeTransactionStart)
  }

  /** @throws what a subscriber throws */
  async afterStart(): Promise<void> {
    await this.#send(EventType.afterTransactionStart)
  }

  // The commit

  /** Whether somebody is still to hear that it will be committed. */
  get hearsBeforeCommit(): boolean {
    return !this.#isCommitAnnounced && this.#hears(EventType.beforeTransactionCommit)
  }

  /**
   * Where it is to be committed, sends the event, once; whether it did. Undefined where nobody hears of that.
   * @throws what a subscriber throws, which keeps it from being committed
   */
  announceCommit(transaction: Committable): Promise<boolean> | undefined {
    return this.hearsBeforeCommit ? this.#announceCommit(transaction) : undefined
  }

  async #announceCommit(transaction: Committable): Promise<boolean> {
    if (transaction.writes.mayTurnOutChanged) await transaction.settleUnmarkedWrites()
    if (!transaction.needsCommit && !transaction.needsValidation) return false
    this.#isCommitAnnounced = true
    await this.#send(EventType.beforeTransactionCommit)
    return true
  }

  /** Notes that it is committed; {@link afterCommit} sends the event. */
  markCommitted(): void {
    this.#isCommitted = true
  }

  /** Whether somebody hears that it is committed. */
  get hearsAfterCommit(): boolean {
    return this.#hears(EventType.afterTransactionCommit)
  }

  /** Where it was committed: sends the event, once. */
  afterCommit(): Promise<void> | undefined {
    if (!this.#isCommitted || this.#isEndSent) return undefined
    this.#isEndSent = true
    return this.hearsAfterCommit ? this.#sendOfEnd(EventType.afterTransactionCommit) : undefined
  }

  // The rollback

  /** Whether somebody hears that it is rolled back. */
  get hearsRollback(): boolean {
    return this.#hears(EventType.beforeTransactionRollback) || this.#hears(EventType.afterTransactionRollback)
  }

  /** Rolls it back by `rollBack`, with the events around that where it `hasBegun`. */
  async aroundRollback(rollBack: () => Promise<void>, hasBegun: () => Promise<boolean>): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#underRollback = promise
    const isHeard = await hasBegun()
    if (isHeard) await this.#sendOfEnd(EventType.beforeTransactionRollback)
    await rollBack().finally(resolve)
    if (isHeard) await this.#sendOfEnd(EventType.afterTransactionRollback)
  }

  /** Resolves when it is rolled back, and those who hear of that may go on; undefined without the events. */
  get underRollback(): Promise<void> | undefined {
    return this.#underRollback
  }

  /** The database has rolled it back: sends the events, once. */
  rolledBack(): Promise<void> | undefined {
    if (this.#isEndSent || !this.hearsRollback) return undefined
    this.#isEndSent = true
    return this.aroundRollback(nothing, async () => true)
  }

  /** Has `subscriber` hear of its end as well. */
  adopt(subscriber: EventSubscriber): void {
    this.#adopted ??= new EventManager([])
    this.#adopted.registerSubscriber(subscriber)
  }

  #hears(event: TransactionEvent): boolean {
    const manager = this.#host.em.getEventManager()
    if (this.#heard?.size !== manager.getSubscribers().size) this.#heard = eventsHeard(manager)
    return (
      this.#heard.events.has(event) || (this.#adopted !== undefined && eventsHeard(this.#adopted).events.has(event))
    )
  }

  /** As an operation of the session: the subscribers' code is not waited for by what it waits for. */
  async #send(event: TransactionEvent): Promise<void> {
    const { em, activity, context } = this.#host
    const transaction = event === EventType.beforeTransactionStart ? undefined : context
    const send = async (): Promise<void> => {
      const args = { em, uow: em.getUnitOfWork(false), transaction } as TransactionEventArgs
      await em.getEventManager().dispatchEvent(event, args)
      await this.#adopted?.dispatchEvent(event, args)
    }
    try {
      await current.run({ events: this, outer: current.get() }, () => activity.during(send))
    } catch (error) {
      if (typeof error === 'object' && error !== null) thrown.add(error)
      throw error
    }
  }

  /** What a subscriber throws at the end of a transaction changes nothing of that. */
  async #sendOfEnd(event: TransactionEvent): Promise<void> {
    if (!this.#hears(event)) return
    try {
      await this.#send(event)
    } catch (error) {
      report(error, `${event} of the session of role "${this.#host.role}"`)
    }
  }
}

const thrown = new WeakSet<object>()

/** Whether an error is a subscriber's, and not the database's. */
export function isOfSubscriber(error: unknown): boolean {
  return thrown.has(error as object)
}

async function nothing(): Promise<void> {}

/** The events that have subscribers, by how many subscribers there were: none of them is ever taken away. */
interface EventsHeard {
  readonly size: number
  readonly events: ReadonlySet<TransactionEvent>
}
const heard = new WeakMap<EventManager, EventsHeard>()

function eventsHeard(manager: EventManager): EventsHeard {
  const subscribers = manager.getSubscribers()
  let known = heard.get(manager)
  if (known?.size !== subscribers.size) {
    const events = EVENTS.filter((event) => Array.from(subscribers).some((subscriber) => event in subscriber))
    heard.set(manager, (known = { size: subscribers.size, events: new Set(events) }))
  }
  return known
}
