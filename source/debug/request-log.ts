import { randomBytes } from 'node:crypto'
import type { RecordedRequest } from './record.ts'

/** Called with the id of a request that is new or has changed. */
export type ChangeListener = (id: string) => void

/** The latest requests and runs. */
export class RequestLog {
  readonly #keep: number
  // In the order of their beginning.
  readonly #requests = new Map<string, RecordedRequest>()
  readonly #listeners = new Set<ChangeListener>()
  /** Makes ids unique: one of another process must not lead to a request of this one. */
  readonly #prefix = randomBytes(3).toString('hex')
  #count = 0

  constructor(keep: number) {
    this.#keep = keep
  }

  newId(): string {
    return `${this.#prefix}-${++this.#count}`
  }

  /** Adds a request, and drops the oldest one that is over, or else the oldest, where there are too many. */
  add(request: RecordedRequest): void {
    if (this.#requests.size >= this.#keep) {
      const over = this.#requests.values().find(({ tookMs }) => tookMs !== undefined)
      const dropped = over ?? this.#requests.values().next().value
      if (dropped !== undefined) this.#requests.delete(dropped.id)
    }
    this.#requests.set(request.id, request)
    this.changed(request)
  }

  /** Newest first. */
  get latest(): RecordedRequest[] {
    return [...this.#requests.values()].toReversed()
  }

  get(id: string): RecordedRequest | undefined {
    return this.#requests.get(id)
  }

  changed({ id }: RecordedRequest): void {
    if (!this.#requests.has(id)) return
    for (const listener of this.#listeners) listener(id)
  }

  /** Returns a function that removes the listener. */
  onChange(listener: ChangeListener): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }
}
