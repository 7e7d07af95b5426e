import type { RecordedAttempt, RecordedChange, RecordedRequest } from './record.ts'

/** Methods that are to change nothing: https://www.rfc-editor.org/rfc/rfc9110#name-safe-methods */
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Returns the entities that a request wrote whose method is to change nothing: mostly it meant its answer alone. */
export function changedByRead(
  { method }: RecordedRequest,
  attempt: RecordedAttempt | undefined,
): readonly RecordedChange[] {
  if (method === undefined || !SAFE_METHODS.has(method)) return []
  return attempt?.changes?.entries ?? []
}
