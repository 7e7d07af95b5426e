/** Ways to have the database as it was before a test. */
import { defineEntity, p } from '@mikro-orm/core'
import pg from 'pg'
import { createSandbox } from '../../source/testing/index.ts'
import { Tag } from '../../tests/support/entities.ts'
import { openOrm } from '../../tests/support/orms.ts'
import { secondLook } from '../../tests/support/second-look.ts'
import type { Postgres } from '../../tests/support/postgres.ts'
import { sqliteFile } from '../../tests/support/sqlite.ts'
import { openTestedApp } from '../../tests/testing/tested-app.ts'

export interface Way {
  /** Two requests: one that stores a row and one that counts them. Missing where nothing but the cleaning is measured. */
  readonly test?: () => Promise<number>
  /** Stores a row where there is no `test`. */
  readonly soil?: () => Promise<unknown>
  readonly clean: () => Promise<unknown>
  readonly close: () => Promise<unknown>
}

export type Entities = readonly { readonly name: string }[]

/** As many entities, each with a table, a unique index, a sequence and, but for the first, a foreign key. */
export function entitiesOf(tables: number): Entities {
  const more = Array.from({ length: tables - 1 }, (_, index) =>
    defineEntity({
      name: `More${index + 1}`,
      properties: { id: p.integer().primary(), label: p.string().unique(), tag: () => p.manyToOne(Tag).nullable() },
    }),
  )
  return [Tag, ...more]
}

const tablesOf = (entities: Entities): string[] => entities.map((_, index) => (index === 0 ? 'tag' : `more${index}`))

async function requestsOver(target: string, entities: Entities) {
  const app = await openTestedApp(target, entities)
  const test = async (): Promise<number> => {
    await app.post()
    return await app.get()
  }
  return { app, test }
}

async function sandbox(target: string, entities: Entities): Promise<Way> {
  const { app, test } = await requestsOver(target, entities)
  const own = await createSandbox(app.registry)
  await own.begin()
  return {
    test,
    async clean() {
      await own.rollback()
      await own.begin()
    },
    async close() {
      await own.close()
      await app.close()
    },
  }
}

/** Over a connection of its own. */
async function byStatements(
  target: string,
  entities: Entities,
  statements: readonly string[] | (() => Promise<string[]>),
): Promise<Way> {
  const { app, test } = await requestsOver(target, entities)
  const look = await secondLook(target)
  const sent = typeof statements === 'function' ? await statements() : statements
  return {
    test,
    async clean() {
      for (const sql of sent) await look.rows(sql)
    },
    async close() {
      await look.close()
      await app.close()
    },
  }
}

/** The connections of an application to the clone are not counted. */
async function clone(server: Postgres, entities: Entities): Promise<Way> {
  const template = await server.createDatabase('template')
  const name = new URL(template).pathname.slice(1)
  const url = template.replace(name, `${name}_clone`)
  await openOrm(template, { config: { entities } }).then((orm) => orm.close())
  const make = () => server.adminQuery(`create database ${name}_clone template ${name}`)
  const drop = () => server.adminQuery(`drop database ${name}_clone with (force)`)
  await make()
  return {
    async soil() {
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      await client.query("insert into tag (label) values ('/tags')")
      await client.end()
    },
    async clean() {
      await drop()
      await make()
    },
    close: drop,
  }
}

/** The first is the one that the others are compared with. */
export async function waysOnPostgres(server: Postgres, entities: Entities): Promise<Record<string, Way>> {
  const pinned = await server.createDatabase('sandbox')
  const truncated = await server.createDatabase('truncate')
  const recreated = await server.createDatabase('recreate')
  return {
    sandbox: await sandbox(pinned, entities),
    'truncate all tables, restart identity': await byStatements(truncated, entities, [
      `truncate ${tablesOf(entities).join(', ')} restart identity`,
    ]),
    'drop and create the schema, all in one string': await byStatements(recreated, entities, async () => {
      const orm = await openOrm(recreated, { config: { entities } })
      const schema = await orm.schema.getCreateSchemaSQL()
      await orm.close()
      return [`drop schema public cascade; create schema public; ${schema}`]
    }),
    'drop the database, and clone it from a template': await clone(server, entities),
  }
}

export async function waysOnSqlite(entities: Entities): Promise<Record<string, Way>> {
  const deletes = tablesOf(entities)
    .toReversed()
    .map((table) => `delete from ${table}`)
  return {
    sandbox: await sandbox(sqliteFile('sandbox'), entities),
    'delete from all tables, in one transaction': await byStatements(sqliteFile('delete'), entities, [
      'begin immediate',
      ...deletes,
      'commit',
    ]),
  }
}
