import type { Engine } from '../role/role.ts'
import { forgetDecisions } from './forget-decisions.ts'
import { parseGlobalId } from './global-id.ts'
import { surveyAll, type Obstacle, type Survey } from './survey.ts'
import { verdictAbout } from './verdict.ts'

/** A transaction that was found prepared. */
export interface InDoubt {
  /** Its name, as pg_prepared_xacts shows it. */
  readonly id: string
  /** The role in whose database it was found. */
  readonly role: string
}

/** What could not be settled and was left as it is. Without an `id` it is the whole database that could not be asked. */
export interface LeftInDoubt {
  /** Its name, as pg_prepared_xacts shows it; undefined where the database could not be asked. */
  readonly id: string | undefined
  /** The role in whose database it was found, or that could not be asked. */
  readonly role: string
  /** Why it was left, in words; docs/atomic-commit.md says what to do. */
  readonly reason: string
}

/** What recovery did. */
export interface RecoveryReport {
  /** Those that were committed, as had been decided. */
  readonly committed: readonly InDoubt[]
  /** Those that were rolled back: nobody had decided to commit them, and now nobody can. */
  readonly rolledBack: readonly InDoubt[]
  /** Those that still hold their locks, and databases that could not be asked. */
  readonly left: readonly LeftInDoubt[]
}

/** The same, and whether there is anything too young to be looked at. @internal */
export interface RecoveryPass extends RecoveryReport {
  readonly young: boolean
}

/** @internal */
export interface RecoveryContext {
  readonly application: string
  readonly graceMs: number
  readonly engines: readonly Engine[]
  readonly obstacle: Obstacle
}

/**
 * One look at every database, and what follows from it. Safe at any time and from many processes at once: what is not
 * decided yet is decided by a row that only one can write, and what is finished twice is finished once.
 * @internal
 */
export async function recoverOnce(context: RecoveryContext): Promise<RecoveryPass> {
  const { engines, graceMs, obstacle } = context
  const survey = await surveyAll(engines, graceMs, obstacle)
  const report: Report = { committed: [], rolledBack: [], left: [], young: false }
  for (const { engine, error } of survey.prepared.filter((each) => each.seen === undefined)) {
    report.left.push({ id: undefined, role: engine.role, reason: `its database could not be asked: ${String(error)}` })
  }
  const known = new Set<string>()
  for (const { engine, seen } of survey.prepared) {
    for (const { gid, ageMs } of seen?.rows ?? []) {
      // Two roles may be of one database; a copy that was made meanwhile is another and has the same id.
      const key = `${seen?.identity} ${gid}`
      if (known.has(key)) continue
      known.add(key)
      if (ageMs < graceMs) report.young = true
      else await settle(gid, engine, survey, context, report)
    }
  }
  await forgetDecisions(survey)
  return report
}

interface Report {
  readonly committed: InDoubt[]
  readonly rolledBack: InDoubt[]
  readonly left: LeftInDoubt[]
  young: boolean
}

async function settle(
  gid: string,
  engine: Engine,
  { decisions }: Survey,
  { application }: RecoveryContext,
  report: Report,
): Promise<void> {
  const found = { id: gid, role: engine.role }
  const id = parseGlobalId(gid)
  if (id === undefined) {
    report.left.push({ ...found, reason: 'its id was not made by this version of the library' })
    return
  }
  if (id.application !== application) {
    report.left.push({ ...found, reason: `it belongs to the application "${id.application}", which has to settle it` })
    return
  }
  try {
    const decision = await verdictAbout(id, decisions)
    const finished = await engine.database.prepared?.finish(gid, decision === 'commit' ? 'commit' : 'rollback')
    if (finished !== true) return
    if (decision === 'commit') report.committed.push(found)
    else report.rolledBack.push(found)
  } catch (error) {
    report.left.push({ ...found, reason: (error as Error)?.message ?? String(error) })
  }
}
