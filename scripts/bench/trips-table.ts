import { shown, type Trips } from './round-trips.ts'

/** A line for each server and work: `read  by-hand  1  select`. */
export function tripsTable(trips: ReadonlyMap<string, Trips>): string {
  const lines = [...trips].map(([key, { waits, unwaited }]) => {
    const [server = '', work = ''] = key.split(' ')
    const sent = waits.map((sql) => sql.map(shown).join(' + ')).join(' | ')
    const rest = unwaited.map(shown).join(' + ')
    return `  ${work.padEnd(10)}  ${server.padEnd(20)} ${waits.length}  ${sent}${rest && `  (${rest})`}`.trimEnd()
  })
  return lines
    .toSorted()
    .map((line) => `${line}\n`)
    .join('')
}
