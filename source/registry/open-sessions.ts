import type { Engine } from '../role/engine.ts'
import { SessionUser } from '../role/unit-scope.ts'
import { SessionEndedError } from '../session/errors.ts'
import type { Session } from '../session/session.ts'

const FIRST_PURGE = 64
const ENDING = 'the registry was closed'

/** The sessions that `registry.session()` gave and nobody closed. One that the program lets go of is not kept alive. */
export class OpenSessions {
  readonly #references = new Set<WeakRef<Session>>()
  #purgeAt = FIRST_PURGE

  /** Opens one of `engine`, asked for as `role`: its entity manager, which is to be closed. */
  open(engine: Engine, role: string): object {
    const user = new SessionUser(role)
    const session = (user.session = engine.open({ unit: { user }, coordinated: false }))
    const forget = this.#add(session)
    const close = async (): Promise<void> => {
      forget()
      const streams = session.statements.closeStreams()
      await session.abandon('it was closed')
      await streams
    }
    return Object.assign(session.em, { close, [Symbol.asyncDispose]: close })
  }

  /** Returns what forgets it again. */
  #add(session: Session): () => void {
    if (this.#references.size >= this.#purgeAt) this.#purge()
    const reference = new WeakRef(session)
    this.#references.add(reference)
    return () => void this.#references.delete(reference)
  }

  /** Those in a transaction, or with a stream under way. */
  get #inUse(): Session[] {
    const sessions = Array.from(this.#references, (reference) => reference.deref())
    return sessions.filter((session) => session !== undefined && isInUse(session)) as Session[]
  }

  /** Names those in use, as messages do. */
  names(): string[] {
    return this.#inUse.map(
      ({ role, statements }) => `${statements.streams ? 'a stream of ' : ''}registry.session("${role}")`,
    )
  }

  /** Cancels and rolls back those in use. */
  giveUp(): void {
    for (const session of this.#inUse) {
      // Readers of its streams get an error: a stream that just ended would look complete.
      session.cancel(new SessionEndedError(session.role, ENDING))
      session.core.settings.background(session.abandon(ENDING))
    }
  }

  #purge(): void {
    for (const reference of this.#references) if (reference.deref() === undefined) this.#references.delete(reference)
    this.#purgeAt = Math.max(FIRST_PURGE, this.#references.size * 2)
  }
}

function isInUse(session: Session): boolean {
  return !session.ended && (session.transaction.begun || session.core.hasBegunByHand || session.statements.streams)
}
