/** What rooms above know of the servers that answer statements. */
export type { FallbackReason, PositionOrigin } from '../database/replicas.ts'
export { formatPosition } from '../database/wal-position.ts'
