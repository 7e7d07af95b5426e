/** What the tests of savepoints work on: entities of every kind that has state in memory, in one database each. */
import { defineEntity, helper, Collection, p, Reference, ScalarReference, type AnyEntity } from '@mikro-orm/core'
import { randomUUID } from 'node:crypto'
import { EngineRegistry, type Transaction } from '../../source/index.ts'
import { openOrm, newDatabase, type Dialect, type TestOrm } from '../support/orms.ts'
import { recordStatements, type Recording } from '../support/recording.ts'
import { secondLook, type SecondLook } from '../support/second-look.ts'

/** PostgreSQL returns rows in no order of their own, and a flush goes by the order in which entities were loaded. */
const BY_ID = { id: 'asc' } as const

export const Address = defineEntity({
  name: 'Address',
  embeddable: true,
  properties: { street: p.string(), city: p.string().nullable() },
})
export const Author = defineEntity({
  name: 'Author',
  properties: {
    id: p.integer().primary(),
    name: p.string(),
    born: p.datetime().nullable(),
    settings: p.json<Record<string, unknown>>().nullable(),
    address: () => p.embedded(Address).nullable(),
    places: () => p.embedded(Address).array().nullable(),
    bio: p.text().lazy().nullable(),
    photo: p.text().lazy().ref().nullable(),
    version: p.integer().version(),
    books: () => p.oneToMany(Book).mappedBy('author').orderBy(BY_ID),
  },
})
export const Book = defineEntity({
  name: 'Book',
  properties: {
    id: p.integer().primary(),
    title: p.string().unique(),
    author: () => p.manyToOne(Author).nullable(),
    editor: () => p.manyToOne(Author).ref().nullable(),
    chapters: () => p.oneToMany(Chapter).mappedBy('book').orphanRemoval().orderBy(BY_ID),
    topics: () => p.manyToMany(Topic).inversedBy('books').orderBy(BY_ID),
  },
})
export const Chapter = defineEntity({
  name: 'Chapter',
  properties: { id: p.integer().primary(), title: p.string(), book: () => p.manyToOne(Book) },
})
export const Topic = defineEntity({
  name: 'Topic',
  properties: {
    id: p.integer().primary(),
    label: p.string().unique(),
    books: () => p.manyToMany(Book).mappedBy('topics').orderBy(BY_ID),
  },
})
export const Note = defineEntity({
  name: 'Note',
  properties: {
    key: p
      .uuid()
      .primary()
      .onCreate(() => randomUUID()),
    text: p.string(),
    next: () => p.manyToOne(Note).nullable(),
    see: () => p.manyToMany(Note),
  },
})

export const ENTITIES = [Address, Author, Book, Chapter, Topic, Note]
export const TABLES = ['note_see', 'note', 'book_topics', 'topic', 'chapter', 'book', 'author'] as const

export interface World {
  readonly dialect: Dialect
  readonly orm: TestOrm
  readonly look: SecondLook
  readonly recording: Recording
  /** Over this database alone, as the role `writer`. */
  readonly registry: EngineRegistry<any>
  close(): Promise<void>
}

/** A database, and a registry over it unless the test has its own. */
export async function openWorld(dialect: Dialect, contextName?: string): Promise<World> {
  const target = await newDatabase(dialect)
  const recording = await recordStatements(target)
  const orm = await openOrm(target, {
    via: recording.via,
    ...(contextName === undefined ? {} : { contextName }),
    config: { entities: ENTITIES },
  })
  recording.watch(await orm.em.getConnection().getNativeClient())
  const look = await secondLook(target)
  const registry = contextName === undefined ? new EngineRegistry<any>({ writer: orm }) : undefined
  return {
    dialect,
    orm,
    look,
    recording,
    registry: registry as EngineRegistry<any>,
    async close() {
      await registry?.close()
      await look.close()
      await recording.close()
    },
  }
}

/** Two authors, three books with topics, and a chapter. */
export async function fillTables({ look, dialect }: World): Promise<void> {
  for (const table of TABLES) await look.rows(`delete from ${table}`)
  await look.rows(
    `insert into author (id, name, born, settings, address_street, address_city, places, bio, photo, version) values ` +
      `(1, 'Ada', null, '{"colours":["red"]}', 'Hill', 'Hull', '[{"street":"Elm"}]', 'long', 'face', 1), ` +
      `(2, 'Bob', null, null, null, null, null, 'longer', 'profile', 1)`,
  )
  await look.rows(
    `insert into book (id, title, author_id, editor_id) values (1, 'one', 1, 2), (2, 'two', 1, null), (3, 'three', 2, 1)`,
  )
  await look.rows(`insert into chapter (id, title, book_id) values (1, 'first', 1), (2, 'second', 1)`)
  await look.rows(`insert into topic (id, label) values (1, 'sea'), (2, 'land'), (3, 'air')`)
  await look.rows(`insert into book_topics (book_id, topic_id) values (1, 1), (1, 2), (2, 2)`)
  if (dialect === 'sqlite') await look.rows('update sqlite_sequence set seq = 10')
  else
    for (const table of ['author', 'book', 'chapter', 'topic']) await look.rows(`select setval('${table}_id_seq', 10)`)
}

/** Everything that is committed. */
export async function rows(look: SecondLook): Promise<Record<string, unknown>> {
  const result: Record<string, unknown> = {}
  for (const table of TABLES) result[table] = await look.rows(`select * from ${table} order by 1, 2`)
  return JSON.parse(JSON.stringify(result)) as Record<string, unknown>
}

export type Work = (context: { em: any; txn: Transaction; dbSession: any; tm: any }) => unknown

/** One unit of work on the role `writer`, with or without transactions. */
export async function run(registry: EngineRegistry<any>, disableTransaction: boolean, work: Work): Promise<void> {
  const unit = registry.start({ owner: undefined, anyPreference: [], disableTransaction })
  const dbSession: any = unit.container
  try {
    const txn = await unit.tm.begin()
    await work({ em: dbSession.writer, txn, dbSession, tm: unit.tm })
  } catch (error) {
    await unit.abort('doomed')
    throw error
  }
  await unit.commit()
}

/** Statements in short: `insert book`, `update author`, and everything else as it is. */
export function brief(statements: readonly string[]): string[] {
  return statements.map((sql) => {
    const [, verb, table] = /^(insert into|update|delete from|select .*? from) ["`]?(\w+)/s.exec(sql) ?? []
    return verb === undefined ? sql : `${verb.split(' ', 1)[0]} ${table}`
  })
}

/**
 * What an entity manager has in memory, in every respect that a later flush or read could notice; of what it had in an
 * earlier memory alone, where one is given.
 */
export function memoryOf(em: any, earlier?: readonly State[]): State[] {
  const states = [...em.getUnitOfWork().getIdentityMap()].map((entity) => stateOf(entity))
  return states.filter(({ entity }) => earlier?.some((state) => state.entity === entity) ?? true)
}

/** What is wrong in the entities that came after an earlier memory: those that do not show what the database holds. */
export async function wronglyKept(em: any, earlier: readonly State[]): Promise<unknown[]> {
  const fresh = em.fork({ keepTransactionContext: true })
  const comparator = em.getComparator()
  const wrong: unknown[] = []
  for (const entity of em.getUnitOfWork().getIdentityMap()) {
    if (earlier.some((state) => state.entity === nameOf(entity))) continue
    const row = await fresh.findOne(entity.constructor, helper(entity).getPrimaryKey(), {
      populate: ['bio'].filter((name) => entity[name] !== undefined),
    })
    const [shown, stored] = [entity, row].map((one) => (one === null ? null : comparator.prepareEntity(one)))
    const differs = Object.keys(shown).some((key) => JSON.stringify(shown[key]) !== JSON.stringify(stored?.[key]))
    if (differs) wrong.push({ entity: nameOf(entity), shown, stored })
  }
  return wrong
}

export interface State {
  readonly entity: string
  readonly [aspect: string]: unknown
}

export function stateOf(entity: any): State {
  const wrapped = helper(entity as AnyEntity)
  const values = wrapped.__meta.props.map(({ name }) => [name, valueOf(entity[name])] as const)
  return {
    entity: nameOf(entity),
    isManaged: wrapped.isManaged(),
    isInitialized: wrapped.isInitialized(),
    values: Object.fromEntries(values.filter(([, value]) => value !== undefined)),
    original: valueOf(wrapped.__originalEntityData),
    loaded: [...wrapped.__loadedProperties].toSorted(),
    populated: valueOf(wrapped.__serializationContext.populate),
    fields: [...(wrapped.__serializationContext.fields ?? [])],
  }
}

function valueOf(value: any): unknown {
  if (Collection.isCollection(value)) {
    // The same as none at all: a mere reference has none, and gets them when it is loaded.
    if (!value.isInitialized() && !value.isDirty() && value.getItems(false).length === 0) return undefined
    const items = (some: any[] | undefined) => some?.map((item) => nameOf(item))
    return {
      isInitialized: value.isInitialized(),
      isDirty: value.isDirty(),
      isPartial: value.isPartial(),
      items: items(value.getItems(false)),
      snapshot: items(value.getSnapshot()),
      byIndex: items(Array.from({ length: value.getItems(false).length }, (_, index) => value[index])),
    }
  }
  if (ScalarReference.isScalarReference(value)) return { isInitialized: value.isInitialized(), value: value.unwrap() }
  if (Reference.isReference<any>(value)) return { reference: nameOf(value.unwrap()) }
  if (value?.__meta !== undefined && !value.__meta.embeddable) return nameOf(value)
  return value === undefined || value === null ? value : JSON.parse(JSON.stringify(value))
}

const names = new WeakMap<object, string>()
let unnamed = 0

/** A name for each object, which distinguishes two objects for one row. */
function nameOf(entity: any): string {
  let name = names.get(entity)
  if (name === undefined) names.set(entity, (name = `${entity.constructor.name} object ${++unnamed}`))
  return `${name}, ${helper(entity).getPrimaryKey() ?? 'new'}`
}
