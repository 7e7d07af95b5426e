import { shown, type Trips } from './round-trips.ts'

export interface ShownTrips {
  readonly waits: readonly string[]
  readonly unwaited: readonly string[]
}

/** A word for each statement. What was waited for together is joined by `+`. */
export function shownTrips({ waits, unwaited }: Trips): ShownTrips {
  return { waits: waits.map((sql) => sql.map(shown).join(' + ')), unwaited: unwaited.map(shown) }
}

/** A line for each server and work: `write  by-hand  3  begin | insert | commit`. */
export function tripsTable(trips: ReadonlyMap<string, Trips>): string {
  const lines = [...trips].map(([key, each]) => {
    const [server = '', work = ''] = key.split(' ')
    const { waits, unwaited } = shownTrips(each)
    const rest = unwaited.length > 0 ? `  (${unwaited.join(' + ')})` : ''
    return `  ${work.padEnd(20)} ${server.padEnd(20)} ${waits.length}  ${waits.join(' | ')}${rest}`.trimEnd()
  })
  return lines
    .toSorted()
    .map((line) => `${line}\n`)
    .join('')
}
