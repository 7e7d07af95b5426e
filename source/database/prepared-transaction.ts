import type { DatabaseConnection } from './database.ts'
import { isFinishedAlready, type Finish } from './prepared.ts'
import type { WalPosition } from './wal-position.ts'

/** A transaction that was prepared, and the connection over which it was: the nearest one to finish it. */
export class PreparedTransaction {
  readonly gid: string
  #connection: DatabaseConnection | undefined

  constructor(gid: string, connection: DatabaseConnection) {
    this.gid = gid
    this.#connection = connection
  }

  /**
   * Finishes it and gives the connection back, also after an error. Returns where that is, as in CommitAnswer.
   * @throws the driver's error: it may still be there
   */
  async finish(how: Finish): Promise<WalPosition | undefined> {
    const connection = this.#connection
    this.#connection = undefined
    try {
      return await connection?.finishPrepared?.(this.gid, how)
    } catch (error) {
      if (!isFinishedAlready(error)) throw error
      return undefined
    } finally {
      await connection?.release()
    }
  }

  /** Leaves it as it is, to recovery, and gives the connection back. */
  leave(): void {
    void this.#connection?.release()
    this.#connection = undefined
  }
}

/** Not supported (temporary objects, NOTIFY and others), switched off, and no more of them than there are already. */
const REFUSALS: readonly unknown[] = ['0A000', '55000', '53200']

export function refusesToPrepare(error: unknown): boolean {
  return REFUSALS.includes((error as { readonly code?: unknown }).code)
}
