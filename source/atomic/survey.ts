import type { DecisionSurvey } from '../database/decisions.ts'
import type { PreparedSurvey } from '../database/prepared.ts'
import type { Engine } from '../role/engine.ts'
import { GLOBAL_ID_PREFIX } from '../database/prepared.ts'

/** The result of asking one database: `seen`, or the error. */
export type Seen<T> = { readonly engine: Engine } & (
  | { readonly seen: T; readonly error?: undefined }
  | { readonly seen?: undefined; readonly error: unknown }
)

/** The decisions and prepared transactions of every database. */
export interface Survey {
  readonly decisions: readonly Seen<DecisionSurvey>[]
  readonly prepared: readonly Seen<PreparedSurvey>[]
}

/** Returns why a role's database must not be asked now; undefined if it can be. */
export type Obstacle = (role: string) => string | undefined

/** Asks for decisions first: every branch of a row found then was prepared before, so the second look shows it unless finished. */
export async function surveyAll(engines: readonly Engine[], graceMs: number, obstacle: Obstacle): Promise<Survey> {
  const decisions = await lookAt(engines, obstacle, (engine) => engine.surveyDecisions(graceMs))
  const able = engines.filter(({ database }) => database.prepared !== undefined)
  const prepared = await lookAt(able, obstacle, (engine) => engine.surveyPrepared(GLOBAL_ID_PREFIX))
  return { decisions, prepared }
}

async function lookAt<T>(
  engines: readonly Engine[],
  obstacle: Obstacle,
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
