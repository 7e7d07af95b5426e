import Koa from 'koa'
import * as assert from 'uvu/assert'
import { debugPanel } from '../../source/debug/index.ts'
import { within } from '../../source/debug/within.ts'
import { serve, type Served } from '../support/http.ts'
import { addIn, preparedIn, SeveralDatabases } from '../support/several-databases.ts'
import { suite } from '../support/suite.ts'
import { warnings } from '../support/warnings.ts'

interface World {
  several: SeveralDatabases
}

const test = suite<World>('what the debug panel shows of prepared transactions')

test.before(async (world) => {
  world.several = await SeveralDatabases.open({ writer: 'postgresql', audit: 'postgresql' })
})
test.after.each(({ several }) => several.reset())
test.after(({ several }) => several.close())

async function serving(registry: any): Promise<Served & { readonly stop: () => Promise<void> }> {
  const panel = debugPanel(registry)
  const server = await serve(new Koa().use(panel))
  return Object.assign(server, {
    async stop() {
      panel.close()
      await server.close()
    },
  })
}

test('what waits in any database for its end, with its id and age, on both pages and as JSON', async ({ several }) => {
  const registry = several.registry()
  const server = await serving(registry)
  await registry.run(() => undefined)
  const gid = 'sqlassist:app:writer:somewhere:by-hand:audit'
  const { look } = several.place('audit')
  await look.rows('begin')
  await look.rows(`insert into author (name) values ('in doubt')`)
  await look.rows(`prepare transaction '${gid}'`)

  const { inDoubt } = (await server.request('GET', '/_sqlassist/registry.json')).json()
  assert.equal(
    inDoubt.map(({ role, prepared }: any) => [role, prepared.map(({ id }: any) => id)]),
    [
      ['writer', []],
      ['audit', [gid]],
    ],
  )
  const [run] = (await server.request('GET', '/_sqlassist/requests.json')).json().requests
  for (const path of ['/registry', `/requests/${run.id}`]) {
    assert.ok((await server.request('GET', `/_sqlassist${path}`)).text.includes(`<code>${gid}</code>`), path)
  }
  // Live reloads of a page do not send statements with everything that happens.
  assert.not((await server.request('GET', `/_sqlassist/requests/${run.id}?live=1`)).text.includes(gid))
  await server.stop()
})

test('a database that cannot be asked is named, with the reason, and the others are shown', async ({ several }) => {
  const registry = several.registry()
  const server = await serving(registry)
  const wire = several.place('audit').wire!
  await wire.down()
  const { text } = await server.request('GET', '/_sqlassist/registry')
  assert.match(text, /<b>audit<\/b> <span class="badge bad">not asked<\/span>/)
  const { inDoubt } = (await server.request('GET', '/_sqlassist/registry.json')).json()
  assert.equal(
    inDoubt.map(({ role, error }: any) => [role, typeof error]),
    [
      ['writer', 'undefined'],
      ['audit', 'string'],
    ],
  )
  await wire.up()
  await server.stop()
})

test('what a commit could not finish is pointed out on its page', async ({ several }) => {
  const registry = await several.warmRegistry()
  const server = await serving(registry)
  const wire = several.place('audit').wire!
  void wire.cut(/^commit prepared/, 'before').done.then(() => wire.down())
  const told = await warnings('SQLASSIST_LEFT_PREPARED', () => addIn(registry, ['writer', 'audit'], 'left'))
  assert.is(told.length, 1)
  await wire.up()
  const [gid] = await preparedIn(several.place('audit'))
  const [run] = (await server.request('GET', '/_sqlassist/requests.json')).json().requests
  const { text } = await server.request('GET', `/_sqlassist/requests/${run.id}`)
  assert.match(text, /<h2>Left prepared<\/h2>/)
  assert.ok(text.includes(`<code>${gid}</code>`))
  await server.stop()
})

test('a page waits for databases no longer than it says', async () => {
  const never = new Promise<string>(() => {})
  assert.is(await within(1, never, 'no answer'), 'no answer')
  assert.is(await within(60_000, Promise.resolve('answer'), 'no answer'), 'answer')
})

test.run()
