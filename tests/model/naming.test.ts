import * as assert from 'uvu/assert'
import { Buffer } from 'node:buffer'
import { mkdtempSync, readFileSync, symlinkSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { defineEntity, p } from '@mikro-orm/core'
import { Migrator } from '@mikro-orm/migrations'
import { MikroORM as PostgresOrm } from '@mikro-orm/postgresql'
import { MikroORM as SqliteOrm } from '@mikro-orm/sqlite'
import { ConventionNamingStrategy } from '../../source/index.ts'
import { DIALECTS, newDatabase, openOrm, type Dialect, type TestOrm } from '../support/orms.ts'
import { secondLook } from '../support/second-look.ts'
import { temporaryFolder } from '../support/sqlite.ts'
import { suite } from '../support/suite.ts'
import { NAMED, Publisher, Shelf, Slot } from './naming-entities.ts'

const config = { namingStrategy: ConventionNamingStrategy }

/** The names that the database itself has for what belongs to the tables. */
async function namesIn(target: string, dialect: Dialect): Promise<string[]> {
  const look = await secondLook(target)
  const rows =
    dialect === 'postgresql'
      ? await look.rows(
          `select conname as name from pg_constraint where contype <> 'n' and connamespace = 'public'::regnamespace
           union select indexname from pg_indexes where schemaname = 'public'`,
        )
      : await look.rows(`select name from sqlite_master where type = 'index' and name not like 'sqlite_%'`)
  const declared = dialect === 'sqlite' ? await look.rows(`select sql from sqlite_master where type = 'table'`) : []
  await look.close()
  const inTables = declared.flatMap(({ sql }) =>
    [...String(sql).matchAll(/constraint `([^`]+)`/g)].map(([, name]) => name),
  )
  return [...rows.map(({ name }) => String(name)), ...inTables.map(String)].toSorted()
}

async function opened(dialect: Dialect, entities: unknown[], more: object = {}): Promise<[TestOrm, string]> {
  const target = await newDatabase(dialect)
  return [await openOrm(target, { config: { ...config, entities, ...more } }), target]
}

for (const dialect of DIALECTS) {
  const test = suite(`naming convention, ${dialect}`)

  test('every constraint has the name that the convention gives it, and the diff is empty', async () => {
    const [orm, target] = await opened(dialect, NAMED)
    const names = await namesIn(target, dialect)
    const wanted = [
      'ck_volume_after_print',
      'fk_truck_id_vehicle',
      'fk_volume_cover_id_cover',
      'fk_volume_publisher_id_publishing_houses',
      'fk_volume_sequel_of_id_volume',
      'fk_volume_tags_publisher_id_publishing_houses',
      'fk_volume_tags_volume_id_volume',
      'ix_volume_title',
      'ix_volume_title_year',
      'named_by_hand',
      'uq_publishing_houses_name',
      'uq_volume_cover_id',
      'uq_volume_isbn',
      'uq_volume_isbn_year',
    ]
    // MikroORM gives the checks of columns no name on SQLite, and a foreign key no index on PostgreSQL
    const here = dialect === 'sqlite' ? ['ix_volume_publisher_id'] : ['ck_volume_price', 'ck_volume_state']
    const primary = ['pk_cover', 'pk_publishing_houses', 'pk_volume', 'pk_volume_tags']
    for (const name of [...wanted, ...here, ...(dialect === 'sqlite' ? [] : primary)]) {
      assert.ok(names.includes(name), `${name} of ${names.join(', ')}`)
    }
    for (const name of names.filter((each) => each !== 'named_by_hand')) assert.match(name, /^(pk|uq|ix|ck|fk)_/)
    assert.is(await orm.schema.getUpdateSchemaSQL(), '')
    await orm.close()
  })

  test("a column's check is named on PostgreSQL alone, as is documented, and one of the entity's checks everywhere", async () => {
    const Priced = defineEntity({
      name: 'Priced',
      checks: [{ name: 'ck_priced_sum', expression: 'price > 1' }],
      properties: { id: p.integer().primary(), price: p.integer().check('price > 0') },
    })
    const [orm, target] = await opened(dialect, [Priced])
    const checks = (await namesIn(target, dialect)).filter((name) => name.startsWith('ck_'))
    assert.equal(checks, dialect === 'sqlite' ? ['ck_priced_sum'] : ['ck_priced_price', 'ck_priced_sum'])
    const documented = [
      /On SQLite the check constraint of a column has no name/,
      /On SQLite a column's check constraint has no name/,
    ]
    for (const [index, page] of ['docs/api.md', 'docs/models.md'].entries()) {
      assert.match(readFileSync(resolve(page), 'utf8'), documented[index]!)
    }
    await orm.close()
  })

  test('another process, which only reads the schema, sees no difference either', async () => {
    const [first, target] = await opened(dialect, NAMED)
    await first.close()
    const second = await openOrm(target, { config: { ...config, entities: NAMED.toReversed() } })
    assert.is(await second.schema.getUpdateSchemaSQL(), '')
    await second.close()
  })

  test('long names are cut to 63 bytes, differ, and are the same again the next time', async () => {
    const [orm, target] = await opened(dialect, NAMED)
    const long = (await namesIn(target, dialect)).filter((name) => name.includes('weather_station'))
    assert.is(new Set(long).size, long.length)
    assert.is(long.filter((name) => /^uq_.*_[0-9a-f]{12}$/.test(name)).length, 2)
    for (const name of long) assert.ok(Buffer.byteLength(name) <= 63, name)
    const [again, other] = await opened(dialect, NAMED)
    assert.equal(
      (await namesIn(other, dialect)).filter((name) => name.includes('weather_station')),
      long,
    )
    await orm.close()
    await again.close()
  })

  test('a migration is generated, run, and leaves nothing to migrate', async () => {
    const folder = mkdtempSync(join(temporaryFolder(), 'migrations-'))
    symlinkSync(resolve('node_modules'), join(folder, 'node_modules'))
    for (const snapshot of [true, false]) {
      const path = join(folder, `${snapshot}`)
      const migrations = { path, snapshot, silent: true, emit: 'ts' as const }
      const target = await newDatabase(dialect)
      const options: Record<string, unknown> = { ...config, entities: NAMED, migrations, extensions: [Migrator] }
      const orm = await (dialect === 'sqlite'
        ? SqliteOrm.init({ ...options, dbName: target })
        : PostgresOrm.init({ ...options, clientUrl: target }))
      const { diff } = await orm.migrator.create()
      assert.ok(diff.up.length > 0)
      assert.is((await orm.migrator.up()).length, 1)
      assert.is(await orm.migrator.checkSchema(), false)
      assert.equal((await orm.migrator.create()).diff, { up: [], down: [] })
      assert.is(await orm.schema.getUpdateSchemaSQL({ safe: true }), '')
      assert.ok((await namesIn(target, dialect)).includes('fk_volume_publisher_id_publishing_houses'))
      await orm.close()
    }
  })

  test('a foreign key of several columns has them all in its name, and the diff is empty', async () => {
    const [orm, target] = await opened(dialect, [Shelf, Slot, Publisher])
    const names = await namesIn(target, dialect)
    for (const name of [
      'fk_slot_shelf_row_shelf_place_shelf',
      'fk_slot_next_row_next_place_shelf',
      'fk_slot_publisher_id_publishing_houses',
      'fk_slot_publisher_id_lent_place_shelf',
      'fk_slot_seen_shelf_row_shelf_place_shelf',
    ]) {
      assert.ok(names.includes(name), `${name} is none of ${names.join(', ')}`)
    }
    assert.is(await orm.schema.getUpdateSchemaSQL(), '')
    await orm.close()
  })

  test('an ORM whose entities a later ORM took over names foreign keys as before', async () => {
    const [first, target] = await opened(dialect, NAMED)
    const [second] = await opened(dialect, NAMED)
    assert.is(await first.schema.getUpdateSchemaSQL(), '')
    assert.is((await namesIn(target, dialect)).includes('fk_volume_cover_id_cover'), true)
    await second.close()
    await first.close()
  })

  if (dialect === 'postgresql') {
    test('tables of one name in two schemas are told apart', async () => {
      const properties = { id: p.integer().primary() }
      const One = defineEntity({ name: 'One', tableName: 'one', properties })
      const Two = defineEntity({ name: 'Two', tableName: 'two', properties })
      const entities = [
        One,
        Two,
        defineEntity({
          name: 'A',
          tableName: 'twin',
          schema: 'a',
          properties: { ...properties, link: () => p.manyToOne(One) },
        }),
        defineEntity({
          name: 'B',
          tableName: 'twin',
          schema: 'b',
          properties: { ...properties, link: () => p.manyToOne(Two) },
        }),
      ]
      const [orm, target] = await opened(dialect, entities)
      const look = await secondLook(target)
      const rows = await look.rows(
        `select conname, connamespace::regnamespace::text as schema from pg_constraint where contype = 'f'`,
      )
      assert.equal(rows.map(({ conname, schema }) => `${String(schema)} ${String(conname)}`).toSorted(), [
        'a fk_twin_link_id_one',
        'b fk_twin_link_id_two',
      ])
      assert.is(await orm.schema.getUpdateSchemaSQL(), '')
      await look.close()
      await orm.close()
    })
  }

  test('a foreign key that no entity has is named without the table it refers to, and dropped', async () => {
    const [orm, target] = await opened(dialect, NAMED)
    const look = await secondLook(target)
    await look.rows(`create table leftover (id integer primary key, cover_id integer references cover (id))`)
    await look.close()
    assert.match(await orm.schema.getUpdateSchemaSQL(), /drop table.*leftover/)
    await orm.close()
  })

  test('each ORM names by its own entities, though another maps a table of that name differently', async () => {
    const referring = (referred: string) => {
      const One = defineEntity({ name: 'One', tableName: referred, properties: { id: p.integer().primary() } })
      const properties = { id: p.integer().primary(), link: () => p.manyToOne(One) }
      return [One, defineEntity({ name: 'Referring', properties })]
    }
    const [one, target] = await opened(dialect, referring('one'))
    const [two, otherTarget] = await opened(dialect, referring('two'))
    assert.ok((await namesIn(target, dialect)).includes('fk_referring_link_id_one'))
    assert.ok((await namesIn(otherTarget, dialect)).includes('fk_referring_link_id_two'))
    for (const orm of [one, two]) {
      assert.is(await orm.schema.getUpdateSchemaSQL(), '')
      await orm.close()
    }
  })

  test.run()
}

const test = suite('naming convention')
const naming = new ConventionNamingStrategy()

test('the forms are those of the convention', () => {
  assert.is(naming.indexName('book', [], 'primary'), 'pk_book')
  assert.is(naming.indexName('library.book', ['id'], 'primary'), 'pk_book')
  assert.is(naming.indexName('book', ['title'], 'unique'), 'uq_book_title')
  assert.is(naming.indexName('book', ['title', 'year'], 'index'), 'ix_book_title_year')
  assert.is(naming.indexName('book', ['data.author.name'], 'index'), 'ix_book_data_author_name')
  assert.is(naming.indexName('book', ['price'], 'check'), 'ck_book_price')
  assert.is(naming.indexName('book', [], 'check'), 'ck_book')
  assert.is(naming.indexName('book', ['id'], 'sequence'), 'book_id_seq')
  assert.is(naming.classToTableName('BookShelf'), 'book_shelf')
  assert.is(naming.joinColumnName('theAuthor'), 'the_author_id')
  assert.is(naming.joinTableName('Book', 'Tag', 'theTags'), 'book_the_tags')
})

test('names made of classes and properties are shortened, those given are not', () => {
  const long = 'x'.repeat(70)
  for (const name of [
    naming.classToTableName(long),
    naming.propertyToColumnName(long),
    naming.joinColumnName(long),
    naming.joinKeyColumnName(long, 'id'),
    naming.joinTableName('Book', 'Tag', long),
    naming.indexName('book', [long], 'trigger'),
  ]) {
    assert.is(name.length, 63)
    assert.match(name, /_[0-9a-f]{12}$/)
  }
  assert.is(naming.classToTableName('Book', long), long)
})

test('a name of exactly 63 bytes stays, and one of 64 is shortened at a whole character', () => {
  assert.is(naming.indexName('t', ['a'.repeat(58)], 'index'), `ix_t_${'a'.repeat(58)}`)
  const name = naming.indexName('t', ['ä'.repeat(30)], 'index')
  assert.match(name, /^ix_t_ä+_[0-9a-f]{12}$/)
  assert.ok(Buffer.byteLength(name) <= 63 && Buffer.byteLength(name) >= 61)
  assert.is.not(naming.indexName('t', ['ä'.repeat(31)], 'index'), name)
})

test.run()
