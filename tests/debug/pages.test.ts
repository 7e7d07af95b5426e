import type { Context } from 'koa'
import * as assert from 'uvu/assert'
import { Author } from '../support/entities.ts'
import { DIALECTS } from '../support/orms.ts'
import { suite } from '../support/suite.ts'
import { changesByReading } from './busy-requests.ts'
import { openPanelWorld, type PanelWorld } from './panel-world.ts'

/** The text of a page, without tags and with single spaces. */
async function textOf({ server }: PanelWorld, path = ''): Promise<string> {
  const { text } = await server.request('GET', `/_sqlassist${path}`)
  return text.replaceAll(/<[^>]*>/g, '').replaceAll(/\s+/g, ' ')
}

for (const dialect of DIALECTS) {
  const test = suite<{ world: PanelWorld }>(`pages of the debug panel on ${dialect}`)

  test.before.each(async (context) => {
    context.world = await openPanelWorld(dialect)
  })
  test.after.each(({ world }) => world.close())

  test('an empty list says which request to send, and to give dbSessions the same registry', async ({ world }) => {
    const text = await textOf(world)
    assert.match(text, /No request yet Send one that passes through dbSessions/)
    assert.ok(text.includes('app.use(debugPanel(registry)) app.use(dbSessions(registry))'))
    await world.record((ctx) => (ctx.body = 'ok'))
    assert.not.match(await textOf(world), /No request yet|app\.use/)
  })

  test('a GET that changed entities is marked in the list, and its page says how to leave things out', async ({
    world,
  }) => {
    const { id } = await world.record(changesByReading)
    const list = (await world.server.request('GET', '/_sqlassist')).text
    assert.match(list, /title="A GET that wrote create Book[^"]*; update Book \d+ \(author = NULL\)"\s*>changed</)
    const text = await textOf(world, `/requests/${id}`)
    assert.match(text, /This GET changed entities update Book \d+ \(author = NULL\) The commit stores/)
    assert.match(text, /Changed entities 2 create Book.* writer title author update Book \d+ writer author = NULL/)
  })

  test('a POST that changed entities is not marked, nor is a GET that only read', async ({ world }) => {
    const rename = async (ctx: Context): Promise<void> => {
      const author = await ctx.dbSession.writer.findOneOrFail(Author, 1)
      if (ctx.method === 'POST') author.name = 'renamed'
      ctx.body = author.name
    }
    const { id } = await world.record(rename, 'POST')
    await world.record(rename, 'GET')
    assert.not.match((await world.server.request('GET', '/_sqlassist')).text, />changed</)
    assert.not.match(await textOf(world, `/requests/${id}`), /This POST changed/)
  })

  test.run()
}
