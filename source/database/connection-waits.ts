import { ConnectionDeadlockError } from './errors.ts'

/** What takes connections, such as a unit of work: it may hold some while its code waits for others. */
export interface ConnectionUser {
  /** As in a sentence: `the run "import"`. */
  readonly name: string
  /** Counts up: one that began later has a higher number. */
  readonly number: number
  /** The one whose code started it, while both are open. */
  readonly startedIn: ConnectionUser | undefined
  /** The one whose code uses this one, which has no code of its own, while both are open. */
  readonly usedBy: ConnectionUser | undefined
  /** The one whose code is running. */
  readonly running: ConnectionUser | undefined
  /** Whether statements of it are on their way that have their connection. */
  readonly isBusy: boolean
}

/** Where connections come from. */
export interface ConnectionSource {
  /** Whether it has one connection, whose users wait for no other process. */
  readonly isSingle: boolean
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

/** How long a pool has to stand still before a unit is refused that only seems to wait for one inside of it. */
const STANDSTILL_MS = 100

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
  timer ??= setInterval(look, STANDSTILL_MS)
  if (wait.isNested) lookSoon()
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

function look(): void {
  let victim: ConnectionWait | undefined
  while ((victim = nextVictim()) !== undefined) victim.refuse()
  if (waits.size > 0) return
  clearInterval(timer)
  timer = undefined
}

/** The wait to refuse: of the unit that began last, among those by which connections are held that others wait for. */
function nextVictim(): ConnectionWait | undefined {
  const known = new Map<ConnectionSource, Holders>()
  for (const wait of waits) wait.holders = holdersOf(wait.waiting.source, known)
  for (const [certainty, rule] of RULES) {
    const stuck = stuckWaits(rule)
    if (stuck.size > 0) return victimAmong(stuck, certainty)
  }
  noteStuck(new Set())
  return undefined
}

/** A pool may have many that wait for it. */
function holdersOf(source: ConnectionSource, known: Map<ConnectionSource, Holders>): Holders {
  if (!known.has(source)) known.set(source, source.holders())
  return known.get(source)
}

/** Whether a wait is refused at once. Else everything has to stand still for a while: the code may wait for something else. */
type Certainty = (wait: ConnectionWait) => boolean
/** The users that are blocked by waits. */
type Rule = (stuck: ReadonlySet<ConnectionWait>) => Set<ConnectionUser>

const RULES: readonly (readonly [Certainty, Rule])[] = [
  // The end of a user waits for each of its statements.
  [() => true, (stuck) => new Set([...stuck].map(({ waiting }) => waiting.user))],
  // Its code may also wait for what was started in it, where it does nothing else.
  [({ waiting }) => waiting.source.isSingle, blockedUsers],
  // A session outside of units goes on with the code that uses it.
  [() => false, (stuck) => withSessionsOf(blockedUsers(stuck))],
]

function blockedUsers(stuck: ReadonlySet<ConnectionWait>): Set<ConnectionUser> {
  return new Set([...stuck].flatMap((wait) => wait.blockedUsers))
}

function withSessionsOf(blocked: ReadonlySet<ConnectionUser>): Set<ConnectionUser> {
  const users = [...waits].flatMap(({ holders }) => holders ?? [])
  const sessions = users.filter(({ usedBy, isBusy }) => usedBy !== undefined && blocked.has(usedBy) && !isBusy)
  return new Set([...blocked, ...sessions])
}

/** The waits that will have no end: every connection is held by a user that is blocked, by one of them. */
function stuckWaits(rule: Rule): Set<ConnectionWait> {
  const stuck = new Set(waits)
  for (let isDone = false; !isDone;) {
    isDone = true
    const blocked = rule(stuck)
    for (const wait of stuck) {
      if (wait.holders?.every((user) => blocked.has(user)) === true) continue
      stuck.delete(wait)
      isDone = false
    }
  }
  return stuck
}

function victimAmong(stuck: ReadonlySet<ConnectionWait>, isCertain: Certainty): ConnectionWait | undefined {
  noteStuck(stuck)
  const held = new Set([...stuck].flatMap(({ holders }) => holders ?? []))
  const knotted = [...stuck].filter((wait) => wait.blockedUsers.some((user) => isAmong(user, held)))
  const [youngest] = knotted.toSorted((one, other) => other.waiting.user.number - one.waiting.user.number)
  return youngest !== undefined && (isCertain(youngest) || youngest.standsStill) ? youngest : undefined
}

/** Whether a user, or a session that its code uses, is one of `users`. */
function isAmong(user: ConnectionUser, users: ReadonlySet<ConnectionUser>): boolean {
  return users.has(user) || [...users].some(({ usedBy }) => usedBy === user)
}

function noteStuck(stuck: ReadonlySet<ConnectionWait>): void {
  const now = performance.now()
  for (const wait of waits) wait.noteStuck(stuck.has(wait), now)
}

class ConnectionWait {
  readonly waiting: Waiting
  /** The user whose code called the statement that waits. */
  readonly #caller: ConnectionUser | undefined
  readonly #reject: (error: Error) => void
  #stuckSince: number | undefined
  /** As they are at the moment. */
  holders: Holders

  constructor(waiting: Waiting, reject: (error: Error) => void) {
    this.waiting = waiting
    this.#caller = waiting.user.running
    this.#reject = reject
  }

  /** Whether code of another unit may wait for it. */
  get isNested(): boolean {
    const { user } = this.waiting
    return (user.startedIn ?? user.usedBy ?? (this.#caller === user ? undefined : this.#caller)) !== undefined
  }

  /** All users that come to an end after it: also those in whose code it was started, and which do nothing else. */
  get blockedUsers(): readonly ConnectionUser[] {
    const { user } = this.waiting
    return [user, ...idleFrom(user.startedIn ?? user.usedBy), ...idleFrom(this.#caller)]
  }

  noteStuck(isStuck: boolean, now: number): void {
    if (isStuck) this.#stuckSince ??= now
    else this.#stuckSince = undefined
  }

  /** Whether nothing of it has changed for a while. */
  get standsStill(): boolean {
    return this.#stuckSince !== undefined && performance.now() - this.#stuckSince >= STANDSTILL_MS
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
