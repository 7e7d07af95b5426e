import * as assert from 'uvu/assert'
import Koa, { type Context } from 'koa'
import { sql } from 'kysely'
import { dbSessions } from '../../source/index.ts'
import { Author } from '../support/entities.ts'
import { serve, type Served } from '../support/http.ts'
import { ormsIdle } from '../support/leaks.ts'
import { SeveralDatabases } from '../support/several-databases.ts'
import { suite } from '../support/suite.ts'

interface World {
  several: SeveralDatabases
  served: Served
  handler: (ctx: Context) => unknown
}

const test = suite<World>('round trips of a request to PostgreSQL')

test.before(async (world) => {
  world.several = await SeveralDatabases.open({ writer: 'postgresql', audit: 'postgresql', reader: 'postgresql' })
  const app = new Koa()
  app.use(dbSessions(world.several.registry({}, { reader: { readOnly: true } })))
  app.use(async (ctx) => {
    await world.handler(ctx)
    ctx.status = 204
  })
  world.served = await serve(app)
  // Asks the databases, once, what a commit over several of them needs to know.
  await tripsOf(world, async ({ dbSession: { writer, audit, reader } }) => {
    await reader.count(Author)
    await writer.insert(Author, { name: 'warm-up' })
    await audit.insert(Author, { name: 'warm-up' })
  })
})
test.after(async ({ several, served }) => {
  await served.close()
  await several.close()
})

/** What one request through `handler` sends to each role: each round trip by the first words of its statements. */
async function tripsOf(world: World, handler: World['handler']): Promise<Record<string, string[]>> {
  const { several, served } = world
  world.handler = handler
  await several.reset()
  const { status } = await served.request('GET', '/')
  assert.is(status, 204, served.errors.join())
  await ormsIdle(...several.places.map(({ orm }) => orm))
  const trips = several.places.map(({ role, wire }) => [role, wire!.trips().map(({ messages }) => outline(messages))])
  return Object.fromEntries(trips.filter(([, list]) => list!.length > 0))
}

function outline(messages: readonly string[]): string {
  return messages
    .join(';')
    .split(';')
    .filter((statement) => statement !== '')
    .map((statement) => /^\w+(?: prepared| transaction)?/.exec(statement.trim())![0])
    .join(';')
}

const expected: readonly [string, (ctx: Context) => unknown, Record<string, string[]>][] = [
  ['a request that opens no session: none', () => undefined, {}],
  ['an opened session without a statement: none', ({ dbSession }) => void dbSession.writer, {}],
  [
    'a read on a read-only role: one, with the READ ONLY transaction around it',
    ({ dbSession: { reader } }) => reader.findOne(Author, 1),
    { reader: ['begin;select;rollback'] },
  ],
  [
    `a read of Kysely's with parameters on a read-only role: the same`,
    ({ dbSession: { reader } }) => sql`select ${1}::int`.execute(reader.getKysely()),
    { reader: ['begin;select;rollback'] },
  ],
  [
    'a read with a semicolon on a read-only role: the same',
    ({ dbSession: { reader } }) => reader.execute('select 1;'),
    { reader: ['begin;select;rollback'] },
  ],
  [
    'a read on a joined role: one, and the ROLLBACK',
    ({ dbSession: { writer } }) => writer.findOne(Author, 1),
    { writer: ['begin;select', 'rollback'] },
  ],
  [
    'a write: two',
    ({ dbSession: { writer } }) => writer.create(Author, { name: 'one' }),
    { writer: ['begin;insert', 'commit'] },
  ],
  [
    'a read and a write: three',
    async ({ dbSession: { writer } }) => {
      await writer.count(Author)
      writer.create(Author, { name: 'one' })
    },
    { writer: ['begin;select', 'insert', 'commit'] },
  ],
  [
    `a statement of Kysely's with parameters: BEGIN goes with it`,
    async ({ dbSession: { writer } }) => {
      await sql`select ${1}::int`.execute(writer.getKysely())
      await writer.getKysely().insertInto('author').values({ name: 'one' }).execute()
    },
    { writer: ['begin;select', 'insert', 'commit'] },
  ],
  [
    'a nested transaction: BEGIN goes with its savepoint',
    ({ dbSession: { writer } }) => writer.transactional((em: any) => em.insert(Author, { name: 'one' })),
    { writer: ['begin;savepoint', 'insert', 'release', 'commit'] },
  ],
  [
    'two databases: PREPARE, decision with COMMIT, and COMMIT PREPARED beyond the work',
    async ({ dbSession: { writer, audit } }) => {
      await writer.insert(Author, { name: 'one' })
      await audit.insert(Author, { name: 'one' })
    },
    {
      writer: ['begin;insert', 'set;set;select;insert;commit'],
      audit: ['begin;insert', 'set;set;prepare transaction', 'commit prepared'],
    },
  ],
  [
    'one that changed among two: two',
    async ({ dbSession: { writer, audit } }) => {
      await audit.count(Author)
      writer.create(Author, { name: 'one' })
    },
    { writer: ['begin;insert', 'commit'], audit: ['begin;select', 'rollback'] },
  ],
]
for (const [title, handler, trips] of expected) {
  test(title, async (world) => assert.equal(await tripsOf(world, handler), trips))
}

test('the ROLLBACK of a session that only read is not waited for by the response', async (world) => {
  world.handler = ({ dbSession: { writer } }) => writer.count(Author)
  const held = world.several.place('writer').wire!.hold(/^rollback/, 'request')
  assert.is((await world.served.request('GET', '/')).status, 204)
  await held.reached
  held.release()
})

test.run()
