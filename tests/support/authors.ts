import type { SecondLook } from './second-look.ts'

/** The committed names of all authors. */
export async function authorNames(look: SecondLook, order: 'id' | 'name' = 'id'): Promise<unknown[]> {
  return (await look.rows(`select name from author order by ${order}`)).map(({ name }) => name)
}

/** Deletes all rows of the entities of tests/support/entities.ts. */
export async function clearTables(...looks: readonly SecondLook[]): Promise<void> {
  for (const look of looks) {
    for (const table of ['book_tags', 'book', 'author', 'tag']) await look.rows(`delete from ${table}`)
  }
}

/** Adds authors whose names are `prefix` and a number, counted from 1. */
export async function addAuthors(look: SecondLook, count: number, prefix: string): Promise<void> {
  const numbers = `with recursive n (i) as (select 1 union all select i + 1 from n where i < ${count})`
  await look.rows(
    `insert into author (name) select name from (${numbers} select '${prefix}' || i as name from n) names`,
  )
}
