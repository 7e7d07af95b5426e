import type { Decision, DecisionSurvey } from '../database/decisions.ts'
import type { Engine } from '../role/engine.ts'
import type { GlobalId } from './global-id.ts'
import type { Seen } from './survey.ts'

type Databases = readonly Seen<DecisionSurvey>[]

/**
 * Finds the decision about a prepared transaction.
 *
 * 1. A database that runs now under the name of the deciding one is that database: its answer is final, under any role.
 * 2. A written commit counts in any database: a copy has it from the original.
 * 3. After a restart the database has inherited the name, and so have its copies. Its answer counts where the deciding role
 *    leads to it, and it runs where the original did or is its standby.
 * 4. Any other database may be a copy: the transaction is left.
 * @throws Error that says why the decision is not known
 */
export async function verdictAbout(id: GlobalId, databases: Databases): Promise<Decision> {
  const decidingDatabase = databases.find(({ seen }) => seen?.name === id.decidingDatabase)
  if (decidingDatabase !== undefined) return await fence(decidingDatabase.engine, id)
  if (await isCommitWritten(id, databases)) return 'commit'
  const heir = databases.find(
    ({ engine, seen }) => engine.role === id.decidingRole && seen?.inherited.includes(id.decidingDatabase),
  )
  if (heir !== undefined) return await fence(heir.engine, id)
  throw notFound(id, databases)
}

async function fence({ role, database }: Engine, { decision, decidingDatabase }: GlobalId): Promise<Decision> {
  try {
    return await database.decisions.fence(decision, decidingDatabase)
  } catch (error) {
    throw new Error(`the role "${role}", which decides, could not be asked: ${String(error)}`, { cause: error })
  }
}

async function isCommitWritten({ decision }: GlobalId, databases: Databases): Promise<boolean> {
  const asked = databases.filter(({ seen }) => seen !== undefined)
  // A database lost meanwhile counts like one that could not be asked before.
  const found = await Promise.allSettled(asked.map(({ engine }) => engine.database.decisions.find(decision)))
  return found.some((result) => result.status === 'fulfilled' && result.value === 'commit')
}

function notFound({ decidingRole, decidingDatabase }: GlobalId, databases: Databases): Error {
  const silent = databases.filter(({ seen }) => seen === undefined)
  const asked = silent.map(({ engine, error }) => `"${engine.role}" could not be asked: ${String(error)}`)
  const copies = databases.filter(({ seen }) => seen?.names.includes(decidingDatabase))
  const maybe = copies.map(({ engine }) => `"${engine.role}" may be a copy of it`)
  const empty = databases.filter(({ engine, seen }) => engine.role === decidingRole && seen?.names.length === 0)
  const nameless = empty.map(({ engine }) => `the table of "${engine.role}" is missing, or was emptied`)
  const why = [...asked, ...maybe, ...nameless].join('; ') || 'no role of this registry is that database'
  return new Error(`the database that decides, of role "${decidingRole}", was not found: ${why}`)
}
