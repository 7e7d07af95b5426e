import { isDeepStrictEqual } from 'node:util'
import type { StatementResult } from '../../database/database.ts'
import { HARMLESS_CALLS } from '../../database/harmless-calls.ts'
import type { StatementKind } from '../../database/statement-kind.ts'
import type { Framed } from './framed.ts'
import type { Mark } from './marks.ts'
import type { Sequences } from './sandbox-dialect.ts'

/** One step of a frame, as far as it would be missed if a frame beneath is rolled back. */
export interface Entry {
  readonly frame: Framed
  /** What it does with a savepoint of that name. */
  readonly savepoint?: SavepointEntry
  readonly sql: string
  readonly parameters: readonly unknown[]
  readonly result?: StatementResult | undefined
  /** Where the sequences were before it, where another frame may have moved them. */
  readonly sequences?: Sequences | undefined
}

export interface SavepointEntry {
  readonly does: 'savepoint' | 'release'
  readonly name: string
  onlyReads: boolean
}

/** What was done on the connection of a sandbox, as long as it may have to be done again. */
export class Journal {
  #done: Entry[] = []
  /** What was undone with a frame beneath, and is to be done again. All of it came after what is done. */
  #lost: Entry[] = []

  /** How many steps are written down. */
  get length(): number {
    return this.#done.length
  }

  get hasLost(): boolean {
    return this.#lost.length > 0
  }

  note(entry: Entry): void {
    this.#done.push(entry)
  }

  /** What came after a savepoint is undone, and lost but for what `frame` has done. The savepoint itself stays. */
  undo(mark: Mark, frame?: Framed): void {
    const next = this.#done[mark.place]
    const isItself = mark.name !== undefined && next?.frame === mark.frame && next?.savepoint?.name === mark.name
    const undone = this.#done.splice(isItself ? mark.place + 1 : mark.place)
    this.#lost.unshift(...undone.filter((entry) => entry.frame !== frame))
  }

  /** Gives what is lost, to be done again. */
  takeLost(): readonly Entry[] {
    return this.#lost.splice(0)
  }

  /** Gives what is lost and not of `others`. The rest stays lost. */
  takeLostBeside(others: readonly Framed[]): readonly Entry[] {
    const lost = this.takeLost()
    this.#lost = lost.filter((entry) => others.includes(entry.frame))
    return lost.filter((entry) => !others.includes(entry.frame))
  }

  /** Forgets what is lost of a frame. */
  forgetLost(frame: Framed): void {
    this.#lost = this.#lost.filter((entry) => entry.frame !== frame)
  }

  /** Goes back to a savepoint of `frame` that is lost itself. Whether there is one of that name. */
  goBack(frame: Framed, name: string): boolean {
    const at = this.#lost.findLastIndex(
      ({ frame: own, savepoint }) => own === frame && savepoint?.does === 'savepoint' && savepoint.name === name,
    )
    if (at >= 0) this.#lost = this.#lost.filter((entry, index) => entry.frame !== frame || index <= at)
    return at >= 0
  }

  /** The frame may write above its savepoint, also where that is done again. */
  letWrite(frame: Framed, name: string): void {
    for (const { frame: own, savepoint } of [...this.#done, ...this.#lost])
      if (own === frame && savepoint?.name === name) savepoint.onlyReads = false
  }

  forgetDone(): void {
    this.#done = []
  }

  clear(): void {
    this.#done = []
    this.#lost = []
  }
}

const CALLS = /\b(\w+)\s*\(/g

/** Whether a statement may write. One that looks like a read may call a function that does. */
export function mayWrite(kind: StatementKind, sql: string): boolean {
  if (kind !== 'read') return true
  return Array.from(sql.matchAll(CALLS), ([, name = '']) => name.toLowerCase()).some(
    (name) => !HARMLESS_CALLS.has(name),
  )
}

/** Whether a statement that was done again has the same result. */
export function isSame(one: StatementResult, other: StatementResult): boolean {
  return (
    one.numAffectedRows === other.numAffectedRows &&
    one.insertId === other.insertId &&
    (one.command === 'SELECT' || isDeepStrictEqual(one.rows, other.rows))
  )
}
