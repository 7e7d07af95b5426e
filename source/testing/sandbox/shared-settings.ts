import process from 'node:process'
import type { OwnSettings } from './frame-context.ts'
import type { Framed } from './framed.ts'

/** Notices what one frame sets for the rest of its transaction, and another one meets on the connection that they share. */
export class SharedSettings {
  readonly #setting = new Set<Framed>()
  readonly #own: OwnSettings

  constructor(own: OwnSettings) {
    this.#own = own
  }

  /** Something of `frame` is about to be sent. */
  note(frame: Framed): void {
    if (frame.mayHaveSet) this.#setting.add(frame)
    if (this.#own.hasWarned || this.#setting.size === 0) return
    const other = Array.from(this.#setting).find((each) => each !== frame && !each.isKept)
    if (other === undefined) return
    this.#own.hasWarned = true
    process.emitWarning(
      `The role "${frame.role}" sends a statement while the role "${other.role}" has set something for its transaction by SET or ` +
        `set_config(). In a sandbox they share a connection, and it holds for both; in production it does not. Give such values by ` +
        `em.setSessionContext(), or use freshDatabase() for this test.`,
      { code: 'SQLASSIST_SANDBOX_SETTINGS' },
    )
  }

  /** None is open any more. */
  clear(): void {
    this.#setting.clear()
  }
}
