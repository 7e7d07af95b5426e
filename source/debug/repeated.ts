import type { RecordedAttempt } from './record.ts'

/** From how often on a statement counts as repeated. */
const TIMES = 3

/** A statement that was sent again and again with other values. */
export interface Repeated {
  /** The role it was sent by. */
  readonly role: string
  /** The statement, with `?` for every value. */
  readonly shape: string
  /** How often. */
  readonly times: number
  /** How long they took together. */
  readonly tookMs: number
}

/**
 * Returns statements of one shape that a role was sent at least three times in an attempt, the most frequent first. A join,
 * `populate` or a batch would do with one.
 */
export function repeatedIn({ statements }: RecordedAttempt): Repeated[] {
  const groups = Map.groupBy(statements, ({ role, shape }) => `${role}\n${shape}`)
  return [...groups.values()]
    .flatMap((group) => {
      const [first] = group
      if (first === undefined || group.length < TIMES) return []
      const tookMs = group.reduce((sum, statement) => sum + (statement.tookMs ?? 0), 0)
      return [{ role: first.role, shape: first.shape, times: group.length, tookMs }]
    })
    .toSorted((one, other) => other.times - one.times)
}
