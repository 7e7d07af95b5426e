import type { Ending, Tell } from './messages.ts'

/** How transfers ended, by the word of those who asked for them. A killed process said nothing. */
export class Outcomes {
  readonly endings = new Map<string, Ending>()
  /** What failures said, and how often. */
  readonly errors = new Map<string, number>()

  note(tell: Tell): void {
    if (!('id' in tell)) return
    this.endings.set(tell.id, tell.tell)
    if (tell.error === undefined) return
    const error = `${tell.tell}: ${tell.error.replaceAll(/\d+/g, 'N')}`
    this.errors.set(error, (this.errors.get(error) ?? 0) + 1)
  }

  count(ending: Ending): number {
    return [...this.endings.values()].filter((each) => each === ending).length
  }
}
