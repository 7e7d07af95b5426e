import type { FallbackReason } from '../replicas.ts'
import type { Cancelling } from '../cancelling.ts'
import { isNotThere } from './not-there.ts'
import type { Replica } from './replica.ts'
import type { Choice, Reading, ReplicaSet } from './replica-set.ts'

/** The servers that one statement is sent to, until one of them answers it: each replica once, then the primary. */
export class Tries {
  readonly #set: ReplicaSet
  readonly #reading: Reading
  readonly #cancelling: Cancelling
  readonly #tried = new Set<Replica>()
  #trouble: FallbackReason | undefined

  constructor(set: ReplicaSet, reading: Reading, cancelling: Cancelling) {
    this.#set = set
    this.#reading = reading
    this.#cancelling = cancelling
  }

  /** @throws as {@link ReplicaSet.choose} */
  next(): Promise<Choice> {
    return this.#set.choose(this.#reading, { tried: this.#tried, trouble: this.#trouble, cancelling: this.#cancelling })
  }

  /** Notes that a replica has not answered. @throws `error`, where it is the statement's own */
  failed(replica: Replica, error: unknown): void {
    if (!isNotThere(error)) throw error
    this.#tried.add(replica)
    this.#trouble = error.reason
  }
}
