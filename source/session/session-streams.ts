import { SessionEndedError } from './errors.ts'

/** The streams that a session handed out and nobody has read to the end: they end with the session. */
export class SessionStreams {
  readonly #open = new Set<SessionStream<any>>()
  readonly #refuse: () => Promise<never>
  #quietly = false

  /** `refuse` throws what a session says that is over. */
  constructor(refuse: () => Promise<never>) {
    this.#refuse = refuse
  }

  get isEmpty(): boolean {
    return this.#open.size === 0
  }

  /** Whether one of them has a connection. */
  get underWay(): boolean {
    return Array.from(this.#open).some(({ begun }) => begun)
  }

  /** `em` is the entity manager that it was opened by, where that is known. */
  add<Row>(rows: AsyncIterable<Row>, em?: object): AsyncIterableIterator<Row> {
    const stream = new SessionStream(rows[Symbol.asyncIterator](), {
      em,
      forget: () => void this.#open.delete(stream),
      late: () => this.#late(),
    })
    this.#open.add(stream)
    return stream
  }

  /**
   * Closes those under way, which gives their connections back; never rejects. Their readers get an error then, or, where
   * it is done `quietly`, the end.
   */
  async close(quietly = false): Promise<void> {
    this.#quietly ||= quietly
    await Promise.all(Array.from(this.#open, (stream) => stream.close()))
  }

  /** Closes those that `em` has opened, whose nested transaction ends. */
  async closeThoseOf(em: object): Promise<void> {
    const own = Array.from(this.#open).filter((stream) => stream.em === em)
    await Promise.all(own.map((stream) => stream.close()))
  }

  async #late(): Promise<IteratorReturnResult<undefined>> {
    if (!this.#quietly) await this.#refuse()
    return { done: true, value: undefined }
  }
}

/** What a stream asks of its session. */
interface Owner {
  readonly em: object | undefined
  forget(): void
  /** What its reader gets once it is closed. */
  late(): Promise<IteratorReturnResult<undefined>>
}

class SessionStream<Row> implements AsyncIterableIterator<Row> {
  readonly #rows: AsyncIterator<Row>
  readonly #owner: Owner
  #closed = false
  get em(): object | undefined {
    return this.#owner.em
  }

  /** Whether something was read from it. */
  begun = false

  constructor(rows: AsyncIterator<Row>, owner: Owner) {
    this.#rows = rows
    this.#owner = owner
  }

  async next(): Promise<IteratorResult<Row, undefined>> {
    if (this.#closed) return await this.#owner.late()
    try {
      const result = await this.#rows.next()
      this.begun = true
      if (result.done === true) this.#owner.forget()
      return result as IteratorResult<Row, undefined>
    } catch (error) {
      this.#owner.forget()
      if (this.#closed || error instanceof SessionEndedError) return await this.#owner.late()
      throw error
    }
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    this.#owner.forget()
    await this.#rows.return?.()
    return { done: true, value: undefined }
  }

  /** For its session. */
  async close(): Promise<void> {
    this.#closed = true
    // What its own end meets is met by the end of its session as well.
    await this.return().catch(() => undefined)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
