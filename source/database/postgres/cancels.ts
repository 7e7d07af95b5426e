import type { PoolClient } from 'pg'
import { mayStillArrive, requestCancel, type CancelOptions } from './cancel-request.ts'

/** The requests to cancel what one client runs. */
export class Cancels {
  readonly #client: PoolClient
  readonly #options: CancelOptions
  readonly #role: string
  #underWay: Promise<void> | undefined
  #mayStillArrive = false

  constructor(client: PoolClient, options: CancelOptions, role: string) {
    this.#client = client
    this.#options = options
    this.#role = role
  }

  /** The one on its way, which would hit what is sent meanwhile. It never rejects. */
  get underWay(): Promise<void> | undefined {
    return this.#underWay
  }

  /** Whether one that was given up may still arrive. */
  get mayStillArrive(): boolean {
    return this.#mayStillArrive
  }

  send(): void {
    this.#underWay ??= this.#send().finally(() => (this.#underWay = undefined))
  }

  async #send(): Promise<void> {
    try {
      await requestCancel(this.#client, this.#options)
    } catch (error) {
      this.#mayStillArrive = mayStillArrive(error)
      process.emitWarning(`A statement of role "${this.#role}" could not be cancelled and runs on: ${String(error)}`, {
        code: 'SQLASSIST_CANCEL_FAILED',
      })
    }
  }
}
