import { unitOf } from './db-sessions-container.ts'
import { formatPositions } from './positions.ts'

/**
 * Returns what the request or run of `dbSession` was given and what it has committed so far, for a job that is to see it:
 * `registry.run(work, { after: positionOf(ctx.dbSession) })`. Undefined where there is nothing, and where no role has
 * `replicaOf`. It says how much is written to the database, and is for your own programs, not for clients.
 */
export function positionOf(dbSession: object): string | undefined {
  return formatPositions(unitOf(dbSession).positions.all)
}
