import type { EntityMetadata } from '@mikro-orm/core'
import type { AbstractSqlDriver } from '@mikro-orm/sql'
import type { Relations } from '../database/relations.ts'

/** Reads the relations out of the metadata, and again where entities were discovered since. */
export function relationsOf(driver: AbstractSqlDriver): () => Relations {
  let known: Relations | undefined
  let size = 0
  return () => {
    const all = driver.getMetadata().getAll()
    if (known === undefined || size !== all.size) known = relationsIn([...all.values()])
    size = all.size
    return known
  }
}

function relationsIn(entities: readonly EntityMetadata[]): Relations {
  const stored = entities.filter(
    ({ virtual, expression, view }) => virtual !== true && (expression === undefined || view),
  )
  const views = stored.filter(isView).map(({ tableName }) => tableName)
  const triggered = stored.filter(({ triggers }) => (triggers?.length ?? 0) > 0).map(({ tableName }) => tableName)
  const lively = [...views, ...triggered]
  return {
    views,
    lively,
    tables: new Set(stored.map(({ tableName }) => tableName).filter((name) => !lively.includes(name))),
  }
}

function isView({ view, materialized }: EntityMetadata): boolean {
  return view !== undefined && view !== false && materialized !== true
}
