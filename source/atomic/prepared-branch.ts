import { CannotPrepareError, ConnectionLostError } from '../database/errors.ts'
import type { Finish } from '../database/prepared.ts'
import type { PreparedTransaction } from '../database/prepared-transaction.ts'
import type { Session } from '../session/session.ts'
import { traceEnd } from '../session/trace.ts'
import type { Engine } from '../role/role.ts'

/** One session of a transaction and the role it belongs to. */
export interface Member {
  readonly session: Session
  readonly engine: Engine
}

/** One of several changed databases in a commit: prepared there, and finished when the commit point has decided. */
export class PreparedBranch {
  readonly gid: string
  readonly #member: Member
  #prepared: PreparedTransaction | undefined
  /** The answer to PREPARE was lost: it may be prepared. */
  #uncertain = false

  constructor(member: Member, gid: string) {
    this.#member = member
    this.gid = gid
  }

  /** @throws what `Session.prepareDatabase` does */
  async prepare(): Promise<void> {
    const { session, engine } = this.#member
    try {
      this.#prepared = await session.prepareDatabase(this.gid)
    } catch (error) {
      this.#uncertain = error instanceof ConnectionLostError
      // The server may have been started again, with other settings, or have become another one.
      if (this.#uncertain || error instanceof CannotPrepareError) engine.lookAgain()
      throw error
    }
  }

  /** Finishes it, over another connection where its own fails. False when it had to be left to recovery. Never rejects. */
  async finish(how: Finish): Promise<boolean> {
    const prepared = this.#prepared
    const uncertain = this.#uncertain
    this.#prepared = undefined
    this.#uncertain = false
    try {
      if (prepared !== undefined) await this.#finishPrepared(prepared, how)
      else if (uncertain) return await this.#finishUncertain(how)
      return true
    } catch {
      return await this.#finishAside(how, () => true)
    }
  }

  /** What is not prepared yet may still be: the server has the statement, or gets it, though its client is gone. */
  async #finishUncertain(how: Finish): Promise<boolean> {
    return await this.#finishAside(how, (wasThere) => {
      if (!wasThere) this.#warn('may still be prepared, since its connection was lost while PREPARE was under way')
      return wasThere
    })
  }

  /** Whether it still waits to be finished. @throws the driver's error when that cannot be asked */
  async isPrepared(): Promise<boolean> {
    return (await this.#member.engine.database.prepared?.has(this.gid)) === true
  }

  /** Leaves it to recovery: whether to commit it is not known. */
  leave(): void {
    this.#prepared?.leave()
    this.#prepared = undefined
  }

  async #finishPrepared(prepared: PreparedTransaction, how: Finish): Promise<void> {
    await this.#traced(how, () => prepared.finish(how))
  }

  #traced(how: Finish, work: () => Promise<void>): Promise<void> {
    return traceEnd(this.#member.session, { how: `${how} prepared`, gid: this.gid }, work)
  }

  async #finishAside(how: Finish, isDone: (wasThere: boolean) => boolean): Promise<boolean> {
    const { prepared } = this.#member.engine.database
    try {
      let wasThere = false
      await this.#traced(how, async () => void (wasThere = (await prepared?.finish(this.gid, how)) === true))
      return isDone(wasThere)
    } catch (error) {
      this.#warn(`could not be finished (${how}: ${String(error)})`, error as Error)
      return false
    }
  }

  #warn(what: string, error?: Error): void {
    process.emitWarning(
      `The prepared transaction "${this.gid}" of role "${this.#member.engine.role}" ${what}. ` +
        `It holds its locks until recovery gets through to the database, or registry.recover() is called.`,
      { code: 'SQLASSIST_LEFT_PREPARED', ...(error === undefined ? {} : { detail: error.stack ?? error.message }) },
    )
  }
}
