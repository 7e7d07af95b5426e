import { ConnectionDeadlockError } from './errors.ts'

/** What takes connections, such as a unit of work: it may hold some while its code waits for others. */
export interface ConnectionUser {
  /** As in a sentence: `the run "import"`. */
  readonly name: string
  /** Counts up: one that began later has a higher number. */
  readonly number: number
  /** The one whose code started it and waits for its end, while both are open. */
  readonly startedIn: ConnectionUser | undefined
  /** The one whose code uses this one, which has no code of its own, while both are open. */
  readonly usedBy: ConnectionUser | undefined
  /** The one whose code is running. */
  readonly running: ConnectionUser | undefined
  /** Whether statements of it are on their way that have their connection. */
  readonly isBusy: boolean
  /** Counts up with what it does. */
  readonly steps: number
}

/** Where connections come from. */
export interface ConnectionSource {
  /** Whether it has one connection only. */
  readonly isSingle: boolean
  /** Whether to ask for a connection now is to wait, as far as known. */
  readonly isTaken: boolean
  /** The users of its connections; undefined where one is free, or will come back from something unknown. */
  holders(): Holders
}

type Holders = readonly ConnectionUser[] | undefined

/** What waits for a connection. */
interface Waiting {
  readonly user: ConnectionUser
  readonly role: string
  readonly source: ConnectionSource
}

/** How often is looked. */
const LOOK_MS = 50
/** How long everything has to stand still before a unit is refused: the code may do something else meanwhile. */
const STANDSTILL_MS = 200

const waits = new Set<ConnectionWait>()
let timer: NodeJS.Timeout | undefined
let isScheduled = false

/**
 * Waits for a connection that `taking` takes; gives it back by `giveBack` where it comes too late.
 * @throws ConnectionDeadlockError where only units could free one that wait themselves, and this one began last
 */
export function waitForConnection<C>(taking: Promise<C>, waiting: Waiting, giveBack: (taken: C) => void): Promise<C> {
  const { promise, resolve, reject } = Promise.withResolvers<C>()
  const wait = new ConnectionWait(waiting, reject)
  waits.add(wait)
  timer ??= setInterval(look, LOOK_MS)
  lookSoon()
  taking.then(
    (taken) => (waits.delete(wait) ? resolve(taken) : giveBack(taken)),
    (error: unknown) => {
      waits.delete(wait)
      reject(error)
    },
  )
  return promise
}

/** Looks when the running code has come to its own waits. */
function lookSoon(): void {
  if (isScheduled) return
  isScheduled = true
  setImmediate(() => {
    isScheduled = false
    look()
  })
}

/** Refuses one wait of those that will have no end. What the others wait for may come back then. */
function look(): void {
  if (waits.size === 0) {
    clearInterval(timer)
    timer = undefined
    return
  }
  const stuck = stuckWaits()
  const now = performance.now()
  for (const wait of waits) wait.noteStuck(stuck.has(wait), now)
  // Where nothing can be refused, the program may end.
  if (stuck.size > 0) timer?.ref()
  else timer?.unref()
  const knotted = knottedAmong(stuck)
  if (!knotted.every((wait) => wait.standsStill(now))) return
  const [youngest] = knotted.toSorted((one, other) => other.waiting.user.number - one.waiting.user.number)
  youngest?.refuse()
}

/** The waits that will have no end: every connection is held by a user that is blocked, by one of them. */
function stuckWaits(): Set<ConnectionWait> {
  const known = new Map<ConnectionSource, Holders>()
  for (const wait of waits) wait.holders = holdersOf(wait.waiting.source, known)
  const stuck = new Set([...waits].filter(({ holders }) => holders !== undefined))
  for (let isDone = false; !isDone;) {
    isDone = true
    const blocked = new Set([...stuck].flatMap((wait) => wait.blockedUsers))
    for (const wait of stuck) {
      if (wait.holders?.every((user) => isBlocked(user, blocked)) === true) continue
      stuck.delete(wait)
      isDone = false
    }
  }
  return stuck
}

/** A pool may have many that wait for it. */
function holdersOf(source: ConnectionSource, known: Map<ConnectionSource, Holders>): Holders {
  if (!known.has(source)) known.set(source, source.holders())
  return known.get(source)
}

/** A session outside of units goes on with the code that uses it. */
function isBlocked(user: ConnectionUser, blocked: ReadonlySet<ConnectionUser>): boolean {
  return blocked.has(user) || (user.usedBy !== undefined && blocked.has(user.usedBy) && !user.isBusy)
}

/** Those of users by which connections are held that others wait for. */
function knottedAmong(stuck: ReadonlySet<ConnectionWait>): ConnectionWait[] {
  const held = new Set([...stuck].flatMap(({ holders }) => holders ?? []).flatMap((user) => [user, user.usedBy]))
  return [...stuck].filter((wait) => wait.blockedUsers.some((user) => held.has(user)))
}

class ConnectionWait {
  readonly waiting: Waiting
  /** The user whose code called the statement that waits. */
  readonly #caller: ConnectionUser | undefined
  readonly #reject: (error: Error) => void
  #stuckSince: number | undefined
  /** Of those that it blocks. */
  #steps = 0
  /** As they are at the moment. */
  holders: Holders

  constructor(waiting: Waiting, reject: (error: Error) => void) {
    this.waiting = waiting
    this.#caller = waiting.user.running
    this.#reject = reject
  }

  /** All users that come to an end after it: also those in whose code it was started, and which do nothing else. */
  get blockedUsers(): readonly ConnectionUser[] {
    const { user } = this.waiting
    return [user, ...idleFrom(user.startedIn ?? user.usedBy), ...idleFrom(this.#caller)]
  }

  noteStuck(isStuck: boolean, now: number): void {
    const steps = isStuck ? this.blockedUsers.reduce((sum, user) => sum + user.steps, 0) : 0
    if (!isStuck) this.#stuckSince = undefined
    else if (this.#stuckSince === undefined || steps !== this.#steps) this.#stuckSince = now
    this.#steps = steps
  }

  /** Whether nothing of it has changed for a while. */
  standsStill(now: number): boolean {
    return this.#stuckSince !== undefined && now - this.#stuckSince >= STANDSTILL_MS
  }

  refuse(): void {
    const { user, role, source } = this.waiting
    const holders = new Set(this.holders?.map(({ name }) => name))
    waits.delete(this)
    this.#reject(new ConnectionDeadlockError(role, user.name, [...holders], source.isSingle))
  }
}

/** The user and those around it, as far as each waits for the one before. */
function idleFrom(user: ConnectionUser | undefined): ConnectionUser[] {
  return user === undefined || user.isBusy ? [] : [user, ...idleFrom(user.startedIn)]
}
