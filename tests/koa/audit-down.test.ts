import * as assert from 'uvu/assert'
import Koa from 'koa'
import { dbSessions } from '../../source/index.ts'
import { Author } from '../support/entities.ts'
import { serve } from '../support/http.ts'
import { newDatabase, openDatabase, openOrm, type TestOrm } from '../support/orms.ts'
import { suite } from '../support/suite.ts'
import { warnings } from '../support/warnings.ts'
import { openWire, type Wire } from '../support/wire.ts'

interface World {
  content: Awaited<ReturnType<typeof openDatabase>>
  audit: TestOrm
  wire: Wire
}

const test = suite<World>('an audit database that is down')

test.before(async (world) => {
  world.content = await openDatabase('postgresql')
  const url = await newDatabase('postgresql', 'audit')
  world.wire = await openWire(url)
  world.audit = await openOrm(url, { via: world.wire.url })
  await world.wire.down()
})
test.after(async ({ content, audit, wire }) => {
  await content.close()
  await audit.close()
  await wire.close()
})

/** A request that writes its content and one line of audit. */
async function publish({ content, audit }: World, name: string, bestEffort: boolean) {
  const app = new Koa()
  app.use(dbSessions({ writer: content.orm, logger: { orm: audit, commit: 'autonomous', bestEffort } }))
  app.use((ctx) => {
    const { writer, logger } = ctx.dbSession
    for (const em of [writer, logger]) em.persist(em.create(Author, { name }))
    ctx.status = 201
  })
  const served = await serve(app)
  try {
    const { status } = await served.request('POST', '/')
    return { status, errors: served.errors }
  } finally {
    await served.close()
  }
}

const written = ({ look }: World['content'], name: string) =>
  look.value('select count(*)::int from author where name = $1', name)

test('does not fail a request whose audit role is best-effort: it is warned of, and the content is there', async (world) => {
  const seen = await warnings('SQLASSIST_SUPPRESSED_ERROR', async () => {
    const { status, errors } = await publish(world, 'best effort', true)
    assert.equal([status, errors], [201, []])
  })
  assert.is(seen.length, 1)
  assert.match(seen[0]!.message, /the best-effort role "logger" could not commit.*ECONN/)
  assert.is(await written(world.content, 'best effort'), 1)
})

test('fails an ordinary one, whose content was committed before: autonomous roles come last', async (world) => {
  const { status, errors } = await publish(world, 'ordinary', false)
  assert.is(status, 500)
  assert.is(errors.length, 1)
  assert.match(String((errors[0] as NodeJS.ErrnoException).code), /^ECONN/)
  assert.is(await written(world.content, 'ordinary'), 1)
})

test.run()
