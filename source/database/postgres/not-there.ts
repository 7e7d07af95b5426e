import type { FallbackReason } from '../replicas.ts'
import type { Cancelling } from '../cancelling.ts'
import type { CarriedOut } from './carried-out.ts'
import type { Replica } from './replica.ts'
import { answerIn, troubleOf } from './replica-check.ts'
import type { Reading, ReplicaChoice, ReplicaSet } from './replica-set.ts'

/** A replica could not answer, for a reason of its own; another server can. It never leaves this room. */
class NotThere extends Error {
  static {
    this.prototype.name = 'NotThere'
  }
  readonly reason: FallbackReason

  constructor(replica: Replica, reason: FallbackReason, cause: unknown) {
    super(`${replica.name} is not there: ${reason}`, { cause })
    this.reason = reason
  }
}

export function isNotThere(error: unknown): error is NotThere {
  return error instanceof NotThere
}

/** Of a wait for the replica that was ended because nobody waits for its answer any more: it says nothing of the replica. */
export function notWaitedFor(replica: Replica): Error {
  return new NotThere(replica, 'behind', undefined)
}

/** What a statement was sent for, and where. */
export interface SentTo {
  readonly set: ReplicaSet
  readonly reading: Reading
  readonly choice: ReplicaChoice
  readonly cancelling: Cancelling
}

/**
 * Decides whether what a replica has answered counts. Its answer to the check is looked at first, with an error behind it or not:
 * a server in the past knows neither new tables nor new columns. `isRefused`: it gave no connection.
 * @throws NotThere; `error` where it is the statement's own
 */
export function assertThere(
  { set, reading, choice }: SentTo,
  carried: CarriedOut,
  error?: unknown,
  isRefused = false,
): void {
  const { replica } = choice
  const answer = answerIn(carried.results, carried.sentAt)
  if (answer !== undefined && !set.accepts(reading, choice, answer)) throw moved(replica, behind(replica), error)
  if (error !== undefined) throw judged({ set, replica }, error, isRefused)
  if (answer === undefined) throw moved(replica, 'behind', error)
  replica.served++
}

/** Returns `error`, or a NotThere where it is the replica's. One that gave no connection is no longer used. */
export function judged({ set, replica }: Where, error: unknown, isRefused: boolean): unknown {
  const trouble = isNotThere(error) ? undefined : troubleOf(error)
  if (trouble === undefined) return error
  if (trouble === 'down' && isRefused) set.watch.markDown(replica, error)
  // It may be that connection alone.
  else if (trouble === 'down') set.watch.doubt(replica)
  return moved(replica, trouble, error)
}

interface Where {
  readonly set: ReplicaSet
  readonly replica: Replica
}

function behind({ state }: Replica): FallbackReason {
  return state === 'foreign' ? 'foreign' : 'behind'
}

function moved(replica: Replica, reason: FallbackReason, error: unknown): NotThere {
  replica.moved++
  return new NotThere(replica, reason, error)
}
