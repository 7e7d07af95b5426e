import * as assert from 'uvu/assert'
import { EngineRegistry, ReadOnlySessionError } from '../../source/index.ts'
import { Author } from '../support/entities.ts'
import { DIALECTS, newDatabase, openOrm, type TestOrm } from '../support/orms.ts'
import { recordStatements, type Recording } from '../support/recording.ts'
import { rejection } from '../support/rejection.ts'
import { secondLook, type SecondLook } from '../support/second-look.ts'
import { suite } from '../support/suite.ts'

interface World {
  orm: TestOrm
  look: SecondLook
  recording: Recording
}

const WRITES: readonly [string, (em: any) => unknown][] = [
  ['a flush with a new entity', (em) => em.persist(em.create(Author, { name: 'new' })).flush()],
  [
    'a flush with a change',
    async (em) => (((await em.findOneOrFail(Author, { name: 'first' })).name = 'changed'), em.flush()),
  ],
  ['a flush with a removal', async (em) => em.remove(await em.findOneOrFail(Author, { name: 'first' })).flush()],
  ['em.insert', (em) => em.insert(Author, { name: 'new' })],
  ['em.nativeUpdate', (em) => em.nativeUpdate(Author, {}, { name: 'changed' })],
  ['em.nativeDelete', (em) => em.nativeDelete(Author, {})],
  ['em.upsert', (em) => em.upsert(Author, { id: 1, name: 'changed' })],
  ['a builder', (em) => em.createQueryBuilder(Author).delete().execute()],
  ['Kysely', (em) => em.getKysely().deleteFrom('author').execute()],
  ['raw SQL', (em) => em.execute('delete from author')],
  ['raw SQL below a common table expression', (em) => em.execute('with a as (select 1) delete from author')],
  ['data definition', (em) => em.execute('drop table author')],
  ['a write in em.transactional', (em) => em.transactional((nested: any) => nested.nativeDelete(Author, {}))],
  ['em.getConnection().execute', (em) => em.getConnection().execute('delete from author')],
]

for (const dialect of DIALECTS) {
  for (const readOnly of [true, 'snapshot'] as const) {
    const test = suite<World>(`readOnly: ${readOnly} on ${dialect}`)

    test.before(async (world) => {
      const target = await newDatabase(dialect)
      world.recording = await recordStatements(target)
      world.orm = await openOrm(target, { via: world.recording.via })
      world.recording.watch(await world.orm.em.getConnection().getNativeClient())
      world.look = await secondLook(target)
      await world.look.rows(`insert into author (name) values ('first')`)
    })
    test.after(async ({ orm, look, recording }) => {
      await look.close()
      await orm.close()
      await recording.close()
    })

    for (const [name, write] of WRITES) {
      test(`${name} is refused before it reaches the database, naming the role`, async ({ orm, look, recording }) => {
        const registry = new EngineRegistry({ archive: { orm, readOnly } })
        recording.reset()
        const error = await rejection(registry.run(({ dbSession }) => write(dbSession.archive) as Promise<void>))
        assert.instance(error, ReadOnlySessionError)
        assert.match(error.message, /"archive" is read only/)
        const writes = recording.sql().filter((sql) => /^(?:insert|update|delete|with|drop)/i.test(sql))
        assert.equal(writes, [])
        assert.equal(await look.rows('select name from author'), [{ name: 'first' }])
      })
    }

    test('what was persisted and never flushed is not lost in silence', async ({ orm }) => {
      const registry = new EngineRegistry({ archive: { orm, readOnly } })
      const error = await rejection(
        registry.run(({ dbSession }) => {
          const em: any = dbSession.archive
          em.persist(em.create(Author, { name: 'lost' }))
        }),
      )
      assert.instance(error, ReadOnlySessionError)
    })

    test(
      readOnly === true ? 'each read sees what is committed by then' : 'every read sees the same snapshot',
      async (world) => {
        const registry = new EngineRegistry({ archive: { orm: world.orm, readOnly } })
        const counts = await registry.run(async ({ dbSession }) => {
          const em: any = dbSession.archive
          const before = await em.count(Author)
          await world.look.rows(`insert into author (name) values ('meanwhile')`)
          return [before, await em.count(Author)]
        })
        assert.equal(counts, readOnly === true ? [1, 2] : [1, 1])
        await world.look.rows(`delete from author where name = 'meanwhile'`)
      },
    )

    test.run()
  }
}
