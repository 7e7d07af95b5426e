import type { Framed } from './framed.ts'

/** A savepoint on the connection of a sandbox. */
export interface Mark {
  /** As the database knows it. */
  readonly savepoint: string
  /** Whose it is; undefined: it begins a level of the sandbox. */
  readonly frame: Framed | undefined
  /** As its frame calls it; undefined: it begins the frame. */
  readonly name: string | undefined
  /** Whether the frame is not to write above it. Over by a way back to it. */
  onlyReads: boolean
  /** How many steps were written down before it. */
  place: number
}

/** The savepoints of a sandbox, the lowest first. */
export class Marks {
  #marks: Mark[] = []
  #count = 0

  new(frame: Framed | undefined, name: string | undefined, onlyReads: boolean, place: number): Mark {
    return { savepoint: `sqlassist_mark_${++this.#count}`, frame, name, onlyReads, place }
  }

  push(mark: Mark): void {
    this.#marks.push(mark)
  }

  get top(): Mark | undefined {
    return this.#marks.at(-1)
  }

  get bottom(): Mark | undefined {
    return this.#marks[0]
  }

  /** The lowest one of a frame. */
  get lowest(): Mark | undefined {
    return this.#marks.find(({ frame }) => frame !== undefined)
  }

  get lastLevel(): Mark | undefined {
    return this.#marks.findLast(({ frame }) => frame === undefined)
  }

  startOf(frame: Framed): Mark | undefined {
    return this.#marks.find((mark) => mark.frame === frame && mark.name === undefined)
  }

  /** The lowest one above which all lies that `others` do since they overlap with `frame`: the beginning of one of them. */
  lowestOverlap(frame: Framed, others: readonly Framed[]): Mark | undefined {
    const start = this.startOf(frame)
    if (others.some((other) => this.#isBelow(this.startOf(other), start))) return start
    return this.#marks.find((mark) => mark.frame !== undefined && others.includes(mark.frame))
  }

  #isBelow(one: Mark | undefined, other: Mark | undefined): boolean {
    return one !== undefined && other !== undefined && this.#marks.indexOf(one) < this.#marks.indexOf(other)
  }

  find(frame: Framed, name: string): Mark | undefined {
    return this.#marks.findLast((mark) => mark.frame === frame && mark.name === name)
  }

  readsOnly(frame: Framed): boolean {
    return this.#marks.some((mark) => mark.frame === frame && mark.onlyReads)
  }

  /** Whether those above it are its frame's own: the database releases them with it. */
  isOnTop(mark: Mark): boolean {
    return this.#above(mark).every(({ frame }) => frame === mark.frame)
  }

  /** Whether those above it are its frame's own, or of frames that are kept. */
  areKeptAbove(mark: Mark): boolean {
    return this.#above(mark).every(({ frame }) => frame === mark.frame || frame?.isKept === true)
  }

  #above(mark: Mark): Mark[] {
    return this.#marks.slice(this.#marks.indexOf(mark) + 1)
  }

  /** Forgets one, and those that its frame has set since. */
  drop(mark: Mark): void {
    const index = this.#marks.indexOf(mark)
    this.#marks = this.#marks.filter((each, at) => at < index || each.frame !== mark.frame)
  }

  /** Forgets one, and all above it. */
  cut(mark: Mark): void {
    this.#marks.length = this.#marks.indexOf(mark)
  }

  cutAbove(mark: Mark): void {
    this.#marks.length = this.#marks.indexOf(mark) + 1
  }

  /** Nothing is written down any more. */
  forgetPlaces(): void {
    for (const mark of this.#marks) mark.place = 0
  }
}
