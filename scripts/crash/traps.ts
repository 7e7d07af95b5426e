import type { Passage, Verdict, Watch } from './passage.ts'

/** Something that is to happen at a chosen message. */
export interface Trap {
  catches(passage: Passage): boolean
  /** How many such messages pass first. */
  readonly skip: number
  act(passage: Passage): Verdict | Promise<Verdict>
}

const KEPT_LINES = 4000

/** What the proxies ask at every message: one trap at a time, which springs once. */
export class Traps {
  #trap: Trap | undefined
  #skip = 0
  #sprung: (() => void) | undefined
  #isolated: Pick<Passage, 'client' | 'database'> | undefined
  /** Every message of this round, to look into a violation. */
  trace: string[] = []

  /** Resolves when it springs. */
  set(trap: Trap): Promise<void> {
    this.#trap = trap
    this.#skip = trap.skip
    return new Promise((resolve) => (this.#sprung = resolve))
  }

  /** From now on everything between that client and that database is lost, until `reunite()`. */
  isolate({ client, database }: Passage): void {
    this.#isolated = { client, database }
  }

  reunite(): void {
    this.#isolated = undefined
  }

  /** Whether it was still waiting. */
  clear(): boolean {
    const waiting = this.#trap !== undefined
    this.#trap = undefined
    return waiting
  }

  readonly watch: Watch = async (passage) => {
    this.note(`${passage.side.padEnd(7)} ${passage.step.padEnd(17)} ${passage.text.replaceAll(/\s+/g, ' ')}`, passage)
    const { client, database } = this.#isolated ?? {}
    if (client === passage.client && database === passage.database) return 'cut'
    const trap = this.#trap
    if (trap === undefined || !trap.catches(passage) || this.#skip-- > 0) return 'pass'
    this.#trap = undefined
    this.note('the trap springs', passage)
    this.#sprung?.()
    return await trap.act(passage)
  }

  note(what: string, { client, database, connection }: Partial<Passage> = {}): void {
    const where = client === undefined ? '' : `${client} ${database}#${connection}`
    this.trace.push(`${(performance.now() % 1e6).toFixed(1).padStart(9)} ${where.padEnd(22)} ${what}`)
    if (this.trace.length > KEPT_LINES) this.trace.shift()
  }
}
