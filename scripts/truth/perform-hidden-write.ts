/** Inserts of one fact by code of the database's own, or by a text that hides them. */
import { raw, type SqlEntityManager } from '@mikro-orm/sql'
import { sql } from 'kysely'
import { Echo, Inbox, Note } from './entities.ts'
import { HIDDEN_WRITES, type HiddenHow, type WriteHow } from './program.ts'

interface Hidden {
  readonly em: SqlEntityManager
  /** The text of the fact. */
  readonly mark: string
  /** A note of which the fact's text can be made. */
  readonly note: string
  /** A name for what is made on the way. */
  readonly name: string
}

/** Those that MikroORM, or Kysely, is known to write by. */
const DECLARED: readonly WriteHow[] = ['trigger by insert', 'view by kysely']
const ALL: readonly WriteHow[] = Object.values(HIDDEN_WRITES).flat()

/** Sent as raw SQL. */
const TEXTS = {
  function: (mark: string) => `select add_fact('${mark}')`,
  'function of sql': (mark: string) => `select add_fact_of_sql('${mark}')`,
  'function in explain': (mark: string) => `explain analyze select add_fact('${mark}')`,
  procedure: (mark: string) => `call add_fact_by_call('${mark}')`,
  do: (mark: string) => `do $$ begin perform add_fact('${mark}'); end $$`,
  with: (mark: string) => `with marks (mark) as (select '${mark}') insert into fact (text) select mark from marks`,
  explain: (mark: string) => `explain analyze insert into fact (text) values ('${mark}')`,
  comment: (mark: string) => `/* select */ insert -- from fact\ninto fact (text) values ('${mark}')`,
  returning: (mark: string) => `insert into fact (text) values ('${mark}') returning id`,
  trigger: (mark: string) => `insert into inbox (text) values ('${mark}')`,
  view: (mark: string) => `insert into door (text) values ('${mark}')`,
  rule: (mark: string) => `insert into ruled (text) values ('${mark}')`,
  'reading view': (_: string, note: string) => `select id from echoes where note = '${note}'`,
} satisfies Partial<Record<HiddenHow, (mark: string, note: string) => string>>

export function isHidden(how: WriteHow): how is HiddenHow {
  return ALL.includes(how)
}

export function isDeclared(how: HiddenHow): boolean {
  return DECLARED.includes(how)
}

/** Whether an error may come when its statement has run: MikroORM still works on what a find has read. */
export function mayBreakOff(how: HiddenHow): boolean {
  return how.endsWith('stream') || how.endsWith('find')
}

function isText(how: HiddenHow): how is keyof typeof TEXTS {
  return how in TEXTS
}

export async function sendHidden(how: HiddenHow, { em, mark, note, name }: Hidden): Promise<void> {
  if (isText(how)) return void (await em.execute(TEXTS[how](mark, note)))
  // One row is there, and once is asked.
  const once = { text: 'taken', [raw('(select add_fact(?)) > 0', [mark])]: [] }
  switch (how) {
    case 'function by kysely':
      return void (await sql`select add_fact(${mark})`.execute(em.getKysely()))
    case 'function in find':
      return void (await em.find(Note, once))
    case 'function in a stream':
      return void (await Array.fromAsync(em.stream(Note, { where: once })))
    case 'function in a cursor':
      await em.execute(`declare cursor_${name} cursor for select add_fact('${mark}')`)
      return void (await em.execute(`fetch all from cursor_${name}`))
    case 'trigger by insert':
      return void (await em.insert(Inbox, { text: mark }))
    case 'view by kysely':
      return void (await (em.getKysely() as any).insertInto('door').values({ text: mark }).execute())
    case 'reading view by find':
      // An entity is read anew when a savepoint is rolled back, and would write again.
      return void (await em.find(Echo, { note }, { disableIdentityMap: true }))
  }
}
