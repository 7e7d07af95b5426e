import type { Engine } from '../role/engine.ts'
import { forgetDecisions } from './forget-decisions.ts'
import { parseGlobalId } from './global-id.ts'
import { preparedOf } from './prepared-of.ts'
import { surveyAll, type Obstacle, type Survey } from './survey.ts'
import { verdictAbout } from './verdict.ts'

/** A transaction found prepared. */
export interface InDoubt {
  /** Its name, as pg_prepared_xacts shows it. */
  readonly id: string
  /** The role in whose database the transaction was found. */
  readonly role: string
}

/** A prepared transaction that could not be settled and was left; without an `id`, a database that could not be asked. */
export interface LeftInDoubt {
  /** The name of the transaction, as pg_prepared_xacts shows it; undefined where the database could not be asked. */
  readonly id: string | undefined
  /** The role whose database holds the transaction, or could not be asked. */
  readonly role: string
  /** Why the transaction was left, in words; docs/atomic-commit.md says what to do. */
  readonly reason: string
}

/** The result of one run of recovery. */
export interface RecoveryReport {
  /** Transactions that were committed, as decided before. */
  readonly committed: readonly InDoubt[]
  /** Transactions that were rolled back: nobody had decided to commit them, and now nobody can. */
  readonly rolledBack: readonly InDoubt[]
  /** Transactions that still hold their locks, and databases that could not be asked. */
  readonly left: readonly LeftInDoubt[]
}

/** A report, and whether a transaction was too young to be settled. @internal */
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
 * Looks at every database and settles the prepared transactions found. Safe at any time and in many processes at once:
 * undecided transactions are decided by a row with a unique key, and finishing one twice is harmless.
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
      // Two roles may share a database; a copy of it is another database with equal ids.
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
    const finished = await preparedOf(engine).finish(gid, decision === 'commit' ? 'commit' : 'rollback')
    if (!finished) return
    if (decision === 'commit') report.committed.push(found)
    else report.rolledBack.push(found)
  } catch (error) {
    report.left.push({ ...found, reason: (error as Error)?.message ?? String(error) })
  }
}
