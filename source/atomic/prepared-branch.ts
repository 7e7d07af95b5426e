import { CannotPrepareError, ConnectionLostError } from '../database/errors.ts'
import type { Finish } from '../database/prepared.ts'
import type { PreparedTransaction } from '../database/prepared-transaction.ts'
import type { WalPosition } from '../database/wal-position.ts'
import type { Session } from '../session/session.ts'
import { traceEnd } from '../session/trace.ts'
import { warn } from '../transaction/warnings.ts'
import type { Engine } from '../role/engine.ts'
import { preparedOf } from './prepared-of.ts'

/** One session of a transaction, and its role. */
export interface Member {
  readonly session: Session
  readonly engine: Engine
}

/**
 * The states of a branch. `idle` becomes `prepared`, or `uncertain` when the answer to PREPARE was lost; each of them
 * becomes `done`, once and for good.
 */
type BranchState =
  | { readonly is: 'idle' | 'uncertain' | 'done' }
  | { readonly is: 'prepared'; readonly transaction: PreparedTransaction }

/** One of several changed databases in a commit: prepared there, and finished when the commit point has decided. */
export class PreparedBranch {
  readonly gid: string
  readonly #member: Member
  #state: BranchState = { is: 'idle' }
  /** Where it was committed, if the server has said so. */
  #position: WalPosition | undefined

  constructor(member: Member, gid: string) {
    this.#member = member
    this.gid = gid
  }

  /** @throws what `DatabaseTransaction.prepare` does */
  async prepare(): Promise<void> {
    const { session, engine } = this.#member
    try {
      this.#state = { is: 'prepared', transaction: await session.transaction.prepare(this.gid) }
    } catch (error) {
      const isLost = error instanceof ConnectionLostError
      if (isLost) this.#state = { is: 'uncertain' }
      // The server may have restarted with other settings, or be another one.
      if (isLost || error instanceof CannotPrepareError) engine.lookAgain()
      throw error
    }
  }

  /** Finishes the branch, over another connection where its own fails. False when it is left to recovery. Never rejects. */
  async finish(how: Finish): Promise<boolean> {
    const wasOpen = this.#state.is === 'prepared' || this.#state.is === 'uncertain'
    const isFinished = await this.#finish(how)
    if (wasOpen && isFinished) await this.#member.session.transaction.notePreparedEnd(how, this.gid, this.#position)
    return isFinished
  }

  async #finish(how: Finish): Promise<boolean> {
    const state = this.#end()
    if (state.is === 'uncertain') return await this.#finishUncertain(how)
    if (state.is !== 'prepared') return true
    try {
      await this.#traced(how, async () => void (this.#position = await state.transaction.finish(how)))
      return true
    } catch {
      return await this.#finishAside(how, () => true)
    }
  }

  /** Whether the branch still waits to be finished. @throws the driver's error when that cannot be asked */
  async isPrepared(): Promise<boolean> {
    return await preparedOf(this.#member.engine).has(this.gid)
  }

  /** Leaves the branch to recovery, when the decision is not known. */
  leave(): void {
    const state = this.#end()
    if (state.is === 'prepared') state.transaction.leave()
  }

  #end(): BranchState {
    const state = this.#state
    this.#state = { is: 'done' }
    return state
  }

  /** Warns unless the transaction is found: the server may run the PREPARE later, though its client is gone. */
  async #finishUncertain(how: Finish): Promise<boolean> {
    return await this.#finishAside(how, (wasThere) => {
      if (!wasThere) this.#warn('may still be prepared, since its connection was lost while PREPARE was under way')
      return wasThere
    })
  }

  #traced(how: Finish, work: () => Promise<void>): Promise<void> {
    return traceEnd(this.#member.session, { how: `${how} prepared`, gid: this.gid }, work)
  }

  async #finishAside(how: Finish, isDone: (wasThere: boolean) => boolean): Promise<boolean> {
    const prepared = preparedOf(this.#member.engine)
    try {
      let wasThere = false
      await this.#traced(how, async () => void (wasThere = await prepared.finish(this.gid, how)))
      return isDone(wasThere)
    } catch (error) {
      this.#warn(`could not be finished (${how}: ${String(error)})`, error)
      return false
    }
  }

  #warn(what: string, error?: unknown): void {
    const message =
      `The prepared transaction "${this.gid}" of role "${this.#member.engine.role}" ${what}. ` +
      `It holds its locks until recovery gets through to the database, or registry.recover() is called.`
    const options = { code: 'SQLASSIST_LEFT_PREPARED' }
    if (error === undefined) process.emitWarning(message, options)
    else warn(message, { ...options, error })
  }
}
