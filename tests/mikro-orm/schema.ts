/** What the library relies on of MikroORM's metadata, naming strategies and schema generator. */
import { Configuration, UnderscoreNamingStrategy } from '@mikro-orm/core'
import { MikroORM } from '@mikro-orm/sqlite'
import * as assert from 'uvu/assert'
import { Author, Topic } from '../memory/savepoint-world.ts'
import type { Reliance } from './reliance.ts'

const SCHEMA = 'model/whole-foreign-keys.ts'

export const SCHEMA_RELIANCES: readonly Reliance[] = [
  {
    what: 'Configuration.getNamingStrategy() of the prototype hands out the naming strategy of every ORM',
    where: ['model/handed-out-strategies.ts'],
    forms: ['prototype', 'narrowed'],
    why: 'a strategy learns of which ORM it names the foreign keys',
    async check() {
      const own = Configuration.prototype.getNamingStrategy
      const asked = new Set<unknown>()
      Configuration.prototype.getNamingStrategy = function getNamingStrategy() {
        asked.add(this)
        return own.call(this)
      }
      try {
        const orm = await MikroORM.init({
          dbName: ':memory:',
          entities: [Topic],
          discovery: { warnWhenNoEntities: false },
          namingStrategy: UnderscoreNamingStrategy,
        })
        assert.ok(asked.has(orm.config))
        await orm.close()
      } finally {
        Configuration.prototype.getNamingStrategy = own
      }
    },
  },
  {
    what: 'The schema helper of SQLite reads foreign keys by getForeignKeys(), and a table by getColumnDefinitions()',
    where: [SCHEMA],
    forms: ['schema', 'cast'],
    why: 'a foreign key of several columns is read as one',
    async check({ sqlite: { orm } }) {
      const helper: any = (orm.em.getPlatform() as any).getSchemaHelper()
      assert.equal([helper.getSchemaPrefix(), helper.getSchemaPrefix('other')], ['', '`other`.'])
      const { constraints } = await helper.getColumnDefinitions(orm.em.getConnection(), 'book')
      assert.ok(constraints.some((text: string) => /^constraint .*foreign key/i.test(text)))
      const read: string[] = []
      const own = helper.getForeignKeys
      helper.getForeignKeys = (...args: any[]) => (read.push(args[1]), own.apply(helper, args))
      try {
        await orm.schema.getUpdateSchemaSQL()
      } finally {
        delete helper.getForeignKeys
      }
      assert.ok(read.includes('book'))
    },
  },
  {
    what: 'The metadata of an entity lists the properties of its primary key, typed as names alone',
    where: ['model/query-terms.ts', 'model/copy-to.ts'],
    forms: ['cast'],
    why: 'pages are ordered by them',
    check({ sqlite: { orm } }) {
      const meta: any = orm.em.getMetadata().get(Author)
      assert.equal(
        meta.getPrimaryProps().map(({ name, fieldNames }: any) => [name, fieldNames]),
        [['id', ['id']]],
      )
    },
  },
  {
    what: 'The schema generator keeps the object of its options, and leaves the tables in skipTables alone',
    where: ['role/attach-orm.ts'],
    forms: ['config'],
    why: "the library's table of decisions is not dropped by a schema update",
    async check({ sqlite: { orm, look } }) {
      await look.rows('create table beside (id integer)')
      const options = (orm.config as Configuration).get('schemaGenerator')
      const before = options.skipTables
      try {
        assert.match(await orm.schema.getUpdateSchemaSQL(), /drop table .*beside/)
        options.skipTables = [...(before ?? []), 'beside']
        assert.not.match(await orm.schema.getUpdateSchemaSQL(), /beside/)
      } finally {
        options.skipTables = before ?? []
        await look.rows('drop table beside')
      }
    },
  },
]
