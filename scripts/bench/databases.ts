/** The databases that all servers share, and the connections by which it is seen what is really stored in them. */
import { secondLook, type SecondLook } from '../../tests/support/second-look.ts'
import { ARTICLES } from './works.ts'

/** What a server is given: urls, or the path of the SQLite file. Only PostgreSQL has a second one. */
export interface Targets {
  readonly main: string
  readonly other?: string
}

export const DATABASES = ['postgresql', 'sqlite'] as const
export type Database = (typeof DATABASES)[number]

/** Connections in each pool, of every server. */
export const POOL = 10

export function isPostgres(target: string): boolean {
  return target.startsWith('postgres')
}

/** Makes the tables in an empty database, with the articles. */
export async function fill(target: string): Promise<SecondLook> {
  const look = await secondLook(target)
  if (!isPostgres(target)) await look.rows('pragma journal_mode = wal')
  const id = isPostgres(target) ? 'serial primary key' : 'integer primary key'
  await look.rows(`create table article (id ${id}, title varchar(255) not null, views int not null)`)
  await look.rows(`create table note (id ${id}, label varchar(255) not null)`)
  await look.rows(
    `with recursive ids(id) as (select 1 union all select id + 1 from ids where id < ${ARTICLES})
    insert into article (id, title, views) select id, 'article ' || id, 0 from ids`,
  )
  return look
}

export async function emptied(look: SecondLook, database: Database): Promise<void> {
  await look.rows(database === 'postgresql' ? 'truncate note' : 'delete from note')
}
