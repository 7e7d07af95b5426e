import type { FallbackReason } from '../replicas.ts'
import { isNotThere } from './not-there.ts'
import type { Replica } from './replica.ts'
import type { Choice, Reading, ReplicaSet } from './replica-set.ts'

/** The servers that one statement is sent to, until one of them answers it: each replica once, then the primary. */
export class Tries {
  readonly #set: ReplicaSet
  readonly #reading: Reading
  readonly #tried = new Set<Replica>()
  #trouble: FallbackReason | undefined

  constructor(set: ReplicaSet, reading: Reading) {
    this.#set = set
    this.#reading = reading
  }

  /** @throws as {@link ReplicaSet.choose} */
  next(): Promise<Choice> {
    return this.#set.choose(this.#reading, this.#tried, this.#trouble)
  }

  /** Notes that a replica has not answered. @throws `error`, where it is the statement's own */
  failed(replica: Replica, error: unknown): void {
    if (!isNotThere(error)) throw error
    this.#tried.add(replica)
    this.#trouble = error.reason
  }
}
