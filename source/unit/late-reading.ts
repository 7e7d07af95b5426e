import { askedTooLate } from '../role/errors.ts'
import type { Engine } from '../role/engine.ts'
import type { Session } from '../session/session.ts'
import type { MaybeLater } from '../transaction/maybe-later.ts'
import type { UnitHost } from './unit-host.ts'

/** What reads from the sessions of a unit of work that has ended: a streamed body. */
export interface LateReader {
  /** Whether it reads no more. */
  readonly isOver: boolean
  /** Resolves when it reads no more: whether it has read to its end. Never rejects. */
  over(): Promise<boolean>
  /** Called with the error that a use of anything else meets. */
  usedTooLate(error: Error): void
}

/** The end of the unit of work that is read. */
interface ReadUnit {
  /** Ends its sessions. `unread`: cancels what they do. */
  close(unread: boolean): MaybeLater
  /** Lets go of the unit. */
  release(): void
}

/** Stands for a reader that is over: an entity of a session that is watched would keep the request alive. */
const GONE: LateReader = { isOver: true, over: async () => true, usedTooLate: () => undefined }

/** Lets a streamed body read from read-only roles of a unit of work that has ended well. */
export class LateReading {
  #reader: LateReader
  readonly #host: UnitHost
  #unit: ReadUnit | undefined
  /** `'too early'`: the unit has not ended. `'waited for'`: the registry waits for the reader. */
  #state: 'too early' | 'refused' | 'allowed' | 'waited for' = 'too early'

  constructor(reader: LateReader, host: UnitHost, unit: ReadUnit) {
    this.#reader = reader
    this.#host = host
    this.#unit = unit
  }

  /** Puts another reader in the place of the first. */
  replaceReader(reader: LateReader): void {
    this.#reader = reader
  }

  /** Reports a use of `session` after its end to the reader. */
  watch(session: Session): void {
    session.watchLateUse((error) => this.#reader.usedTooLate(error))
  }

  /** Lets go of the reader, which is over, and of the unit. */
  release(): void {
    this.#reader = GONE
    this.#unit = undefined
  }

  get isReading(): boolean {
    return (this.#state === 'allowed' || this.#state === 'waited for') && !this.#reader.isOver
  }

  /** Whether the reader was over before it could read. */
  get isOver(): boolean {
    return this.#reader.isOver
  }

  /** Lets the reader open a session. @throws UnitOfWorkEndedError; RegistryClosedError */
  admit({ role, rules }: Engine): void {
    if (!this.isReading || !rules.readsLate) {
      const error = askedTooLate(`The session of role "${role}"`)
      this.#reader.usedTooLate(error)
      throw error
    }
    if (this.#state === 'waited for') return
    this.#host.resume()
    this.#closeWhenRead()
  }

  /** Begins at the end of the unit. Returns whether the reader reads on, and its end closes the sessions. */
  begin(hasFailed: boolean, hasReaders: boolean): boolean {
    this.#state = hasFailed ? 'refused' : 'allowed'
    if (!this.isReading) return false
    if (hasReaders) this.#closeWhenRead()
    else {
      // Nobody waits for a body that does not read.
      this.#host.forget()
      void this.#reader.over().then(() => this.#releaseUnread())
    }
    return true
  }

  /** A session that was opened meanwhile is closed by the reader's end, which also releases the unit. */
  #releaseUnread(): void {
    if (this.#state !== 'waited for') this.#unit?.release()
  }

  #closeWhenRead(): void {
    this.#state = 'waited for'
    this.#host.watch(this.#reader.over().then((wasRead) => this.#unit?.close(!wasRead)))
  }
}
