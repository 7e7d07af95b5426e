/** The look-ups of `ctx.dbSession` that are no role. */
import * as assert from 'uvu/assert'
import { DbSessionsContainer, EngineRegistry, UnitOfWorkEndedError } from '../../source/index.ts'
import { Author } from '../support/entities.ts'
import { openDatabase, openOrm, type TestOrm } from '../support/orms.ts'
import { suite } from '../support/suite.ts'

interface World {
  reader: TestOrm
  writer: TestOrm
  logger: TestOrm
  other: TestOrm
}

const test = suite<World>('the container')

test.before(async (world) => {
  const { orm, target, look } = await openDatabase('sqlite')
  await look.close()
  world.writer = orm
  world.reader = await openOrm(target)
  world.logger = (await openDatabase('sqlite')).orm
  world.other = (await openDatabase('sqlite')).orm
})
test.after(async (world) => {
  for (const orm of [world.reader, world.writer, world.logger, world.other]) await orm.close()
})

const registryOf = ({ reader, writer, logger }: World) =>
  new EngineRegistry({ reader: { orm: reader, readOnly: true }, writer, logger: { orm: logger, commit: 'autonomous' } })

test('any and getAny() give the reader, where nothing is open', async (world) => {
  await registryOf(world).run(({ dbSession }) => {
    assert.is(dbSession.any, dbSession.getAny())
    assert.equal(dbSession.status, { reader: 'START', writer: 'INIT', logger: 'INIT' })
  })
})

test('any gives the writer, where that is open and the reader is not', async (world) => {
  await registryOf(world).run(({ dbSession }) => {
    const { writer } = dbSession
    assert.is(dbSession.any, writer)
    assert.equal(dbSession.status, { reader: 'INIT', writer: 'START', logger: 'INIT' })
  })
})

test('any gives the default role, where none of those it prefers is configured', async ({ logger, other }) => {
  const registry = new EngineRegistry({
    books: { orm: other, default: true },
    log: { orm: logger, commit: 'autonomous' },
  })
  await registry.run(({ dbSession }) => assert.is(dbSession.any, dbSession.books))
})

test('default is the session of the default role, and so is get(!default)', async (world) => {
  await registryOf(world).run(({ dbSession }) => {
    assert.is(dbSession.default, dbSession.writer)
    assert.is(dbSession.get('!default'), dbSession.writer)
  })
})

test('getReader(), getWriter() and getLogger() give their roles, and are not there for others', async (world) => {
  await registryOf(world).run(({ dbSession }) => {
    assert.is(dbSession.getReader(), dbSession.reader)
    assert.is(dbSession.getWriter(), dbSession.writer)
    assert.is(dbSession.getLogger(), dbSession.logger)
  })
  await new EngineRegistry({ books: world.other }).run(({ dbSession }) => assert.not('getWriter' in dbSession))
})

test('every method works without the container that it was taken from, until the run is over', async (world) => {
  const { late, getLate } = await registryOf(world).run(async ({ dbSession }) => {
    const { get, getAny, getReader, getWriter, getLogger, markChanged } = dbSession
    assert.is(getReader(), dbSession.reader)
    assert.is(getWriter(), dbSession.writer)
    assert.is(getLogger(), dbSession.logger)
    assert.is(getAny(), dbSession.reader)
    assert.equal([get('writer'), get('!default')], [dbSession.writer, dbSession.writer])
    await dbSession.writer.execute(`insert into author (name) values ('marked')`)
    markChanged('writer')
    return { late: get, getLate: getLogger }
  })
  assert.throws(
    () => late('writer'),
    (error: unknown) => error instanceof UnitOfWorkEndedError,
  )
  assert.throws(getLate, (error: unknown) => error instanceof UnitOfWorkEndedError)
  assert.is(await world.writer.em.fork().count(Author, { name: 'marked' }), 1)
})

test('methods of a class of its own go on to those of the container', async (world) => {
  class Sessions extends DbSessionsContainer<{ writer: TestOrm }> {
    override getWriter() {
      return super.get('writer')
    }
    getOther() {
      return this.get('writer')
    }
  }
  await new EngineRegistry({ writer: world.other }, { containerClass: Sessions }).run(({ dbSession }) => {
    const { get } = dbSession
    for (const em of [dbSession.getWriter(), dbSession.getOther(), get('writer')]) assert.is(em, dbSession.writer)
  })
})

test.run()
