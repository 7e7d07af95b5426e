import type { DecisionRow } from '../database/decisions.ts'
import { parseGlobalId, participantsOf, type Participant } from './global-id.ts'
import type { Survey } from './survey.ts'

/**
 * Removes the rows of commits that are finished in each database that took part. A database that was not asked, or of which
 * only a copy may have been asked, keeps them: it may still need them.
 */
export async function forgetDecisions(survey: Survey): Promise<void> {
  for (const { engine, seen } of survey.decisions) {
    if (seen === undefined || seen.names.length === 0) continue
    const finished = seen.committed.filter((row) => isFinished(row, survey))
    try {
      await engine.database.decisions.remove(finished.map(({ id }) => id))
    } catch {
      // They stay until the next time.
    }
  }
}

function isFinished({ id, participants }: DecisionRow, survey: Survey): boolean {
  const named = participantsOf(participants)
  return named !== undefined && !isPrepared(id, survey) && named.every((each) => wasAsked(each, survey))
}

function isPrepared(decision: string, { prepared }: Survey): boolean {
  return prepared.some(({ seen }) => seen?.rows.some(({ gid }) => parseGlobalId(gid)?.decision === decision))
}

/** Under the name that no copy has; after a restart its role and its place tell it from copies. */
function wasAsked({ role, database }: Participant, { decisions, prepared }: Survey): boolean {
  return prepared.some(({ engine, seen }) => {
    if (seen === undefined) return false
    if (seen.identity === database) return true
    const names = decisions.find((each) => each.engine === engine)?.seen
    // Between the two looks it may have become another.
    if (names?.identity !== seen.identity) return false
    return names.name === database || (engine.role === role && names.inherited.includes(database))
  })
}
