import type { RecordedRequest } from './record.ts'
import { totalsOf } from './totals.ts'

/** The value of a `Server-Timing` header: the browser's network panel shows the time in the databases. */
export function serverTiming(request: RecordedRequest): string {
  const { statements, databaseMs, commitMs } = totalsOf(request)
  const attempts = request.attempts.length + request.droppedAttempts
  return [
    `db;dur=${milliseconds(databaseMs)};desc="${statements} statement${statements === 1 ? '' : 's'}"`,
    ...(commitMs === undefined ? [] : [`commit;dur=${milliseconds(commitMs)}`]),
    ...(attempts > 1 ? [`attempts;desc="${attempts}"`] : []),
  ].join(', ')
}

function milliseconds(time: number): string {
  return String(Number(time.toFixed(2)))
}
