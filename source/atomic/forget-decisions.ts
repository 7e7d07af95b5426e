import type { DecisionRow } from '../database/decisions.ts'
import { parseGlobalId, participantsOf, type Participant } from './global-id.ts'
import type { Survey } from './survey.ts'

/**
 * Removes the rows of commits that are finished in every database that took part. A row is kept while one of them was not
 * asked, or only a copy of it may have been: a branch there may still need the row.
 */
export async function forgetDecisions(survey: Survey): Promise<void> {
  for (const { engine, seen } of survey.decisions) {
    if (seen === undefined || seen.names.length === 0) continue
    const finished = seen.committed.filter((row) => isFinished(row, survey))
    try {
      await engine.database.decisions.remove(finished.map(({ id }) => id))
    } catch {
      // Rows stay until the next run of recovery.
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

/** Recognises a database by the name that no copy has; after a restart, by its role and an inherited name. */
function wasAsked({ role, database }: Participant, { decisions, prepared }: Survey): boolean {
  return prepared.some(({ engine, seen }) => {
    if (seen === undefined) return false
    if (seen.identity === database) return true
    const names = decisions.find((each) => each.engine === engine)?.seen
    // The role may have moved to another database between the two looks.
    if (names?.identity !== seen.identity) return false
    return names.name === database || (engine.role === role && names.inherited.includes(database))
  })
}
