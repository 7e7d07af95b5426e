import type { RecordedRequest } from './record.ts'
import { repeatedIn, type Repeated } from './repeated.ts'
import { totalsOf, type Totals } from './totals.ts'

/** A request as tools get it: the record, and sums of it. */
export interface RequestSnapshot extends RecordedRequest {
  /** Its cost in all attempts. */
  readonly totals: Totals
  /** The repeated statements of each attempt. */
  readonly repeated: readonly (readonly Repeated[])[]
}

export function snapshot(request: RecordedRequest): RequestSnapshot {
  return { ...request, totals: totalsOf(request), repeated: request.attempts.map(repeatedIn) }
}
