import type { DecisionSurvey } from '../session/decisions.ts'
import type { PreparedSurvey } from '../session/postgres-prepared.ts'
import type { Engine } from './engine.ts'
import { GLOBAL_ID_PREFIX, parseGlobalId, type GlobalId } from './global-id.ts'

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
  /** Why a role's database cannot be asked now, if so. */
  readonly obstacle: (role: string) => string | undefined
}

type Seen<T> = { readonly engine: Engine } & (
  | { readonly seen: T; readonly error?: undefined }
  | { readonly seen?: undefined; readonly error: unknown }
)

/**
 * One look at every database, and what follows from it. Safe at any time and from many processes at once: what is not
 * decided yet is decided by a row that only one can write, and what is finished twice is finished once.
 * @internal
 */
export async function recoverOnce(context: RecoveryContext): Promise<RecoveryPass> {
  const { engines, graceMs } = context
  // In this order: whoever has a row here has been prepared before, and shows in the second look unless it is finished.
  const decisions = await lookAt(engines, context, (engine) => engine.database.decisions.survey(graceMs))
  const prepared = await lookAt(
    engines.filter(({ database }) => database.prepared !== undefined),
    context,
    (engine) => engine.surveyPrepared(GLOBAL_ID_PREFIX),
  )
  const report = { committed: [] as InDoubt[], rolledBack: [] as InDoubt[], left: [] as LeftInDoubt[], young: false }
  for (const { engine, error } of prepared.filter((each) => each.seen === undefined)) {
    report.left.push({ id: undefined, role: engine.role, reason: `its database could not be asked: ${String(error)}` })
  }
  const known = new Set<string>()
  for (const { engine, seen } of prepared) {
    for (const { gid, ageMs } of seen?.rows ?? []) {
      // Two roles may be of one database.
      if (known.has(gid)) continue
      known.add(gid)
      if (ageMs < graceMs) report.young = true
      else await settle(gid, engine, decisions, context, report)
    }
  }
  await forgetDecisions(decisions, prepared, known)
  return report
}

async function lookAt<T>(
  engines: readonly Engine[],
  { obstacle }: RecoveryContext,
  look: (engine: Engine) => Promise<T>,
): Promise<Seen<T>[]> {
  return await Promise.all(
    engines.map(async (engine) => {
      const inTheWay = obstacle(engine.role)
      if (inTheWay !== undefined) return { engine, error: inTheWay }
      try {
        return { engine, seen: await look(engine) }
      } catch (error) {
        return { engine, error }
      }
    }),
  )
}

async function settle(
  gid: string,
  engine: Engine,
  decisions: readonly Seen<DecisionSurvey>[],
  { application }: RecoveryContext,
  report: { committed: InDoubt[]; rolledBack: InDoubt[]; left: LeftInDoubt[] },
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
    const decision = await decisionAbout(id, decisions)
    const finished = await engine.database.prepared?.finish(gid, decision === 'commit' ? 'commit' : 'rollback')
    if (finished !== true) return
    if (decision === 'commit') report.committed.push(found)
    else report.rolledBack.push(found)
  } catch (error) {
    report.left.push({ ...found, reason: (error as Error)?.message ?? String(error) })
  }
}

/** @throws Error that says why it cannot be told */
async function decisionAbout(
  { decision, decidingRole, decidingDatabase }: GlobalId,
  decisions: readonly Seen<DecisionSurvey>[],
): Promise<'commit' | 'abort'> {
  const candidates = decisions.filter(({ seen }) => seen?.database === decidingDatabase)
  if (candidates.length === 0) {
    const silent = decisions.filter(({ seen }) => seen === undefined)
    const asked = silent.map(({ engine, error }) => `"${engine.role}" could not be asked: ${String(error)}`)
    const why = asked.length > 0 ? asked.join('; ') : 'no role of this registry is that database'
    throw new Error(`the database that decides, of role "${decidingRole}", was not found: ${why}`)
  }
  // Usually one. A copy of a database has its name as well: then all of them are asked.
  let decided: 'commit' | 'abort' = 'abort'
  for (const { engine } of candidates) {
    try {
      if ((await engine.database.decisions.fence(decision)).decision === 'commit') decided = 'commit'
    } catch (error) {
      throw new Error(`the role "${engine.role}", which decides, could not be asked: ${String(error)}`, {
        cause: error,
      })
    }
  }
  return decided
}

/** Removes the rows of commits that are finished in every database that took part; a database not asked may still need them. */
async function forgetDecisions(
  decisions: readonly Seen<DecisionSurvey>[],
  prepared: readonly Seen<PreparedSurvey>[],
  known: ReadonlySet<string>,
): Promise<void> {
  const databases = new Set(prepared.flatMap(({ seen }) => (seen === undefined ? [] : [seen.identity])))
  const needed = new Set([...known].map((gid) => parseGlobalId(gid)?.decision))
  for (const { engine, seen } of decisions) {
    if (seen?.database === undefined) continue
    const finished = seen.committed.filter(
      ({ id, participants }) =>
        !needed.has(id) && participants !== null && participants.split(' ').every((each) => databases.has(each)),
    )
    try {
      await engine.database.decisions.remove(finished.map(({ id }) => id))
    } catch {
      // They stay until the next time.
    }
  }
}
