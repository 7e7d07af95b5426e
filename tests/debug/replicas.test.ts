/** The panel shows the replicas, and for each statement which server answered it and why. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { AxeResults } from 'axe-core'
import Koa from 'koa'
import * as assert from 'uvu/assert'
import type { Browser } from 'playwright-core'
import { debugPanel, type DebugPanel, type RequestSnapshot } from '../../source/debug/index.ts'
import { dbSessions, EngineRegistry } from '../../source/index.ts'
import { openBrowser } from '../support/browser.ts'
import { Author } from '../support/entities.ts'
import { serve, type Served } from '../support/http.ts'
import { picture } from '../support/picture.ts'
import { readerAndWriterOf, sharedCluster, type Cluster, type ReplicaEngines } from '../support/replicas.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'

interface World {
  cluster: Cluster
  registry: EngineRegistry<ReplicaEngines>
  panel: DebugPanel
  served: Served
  browser: Browser
}

const test = suite<World>('replicas in the debug panel')

test.before(async (world) => {
  world.cluster = await sharedCluster()
  world.registry = new EngineRegistry<ReplicaEngines>(await readerAndWriterOf(world.cluster))
  const app = new Koa()
  world.panel = debugPanel(world.registry)
  app.use(world.panel)
  app.use(dbSessions(world.registry))
  app.use(async (ctx: any) => {
    if (ctx.method === 'POST') ctx.dbSession.writer.create(Author, { name: 'a' })
    else await ctx.dbSession.reader.count(Author)
    ctx.body = 'done'
  })
  world.served = await serve(app)
  await world.served.request('GET', '/first')
  for (const standby of world.cluster.standbys) await standby.pause()
  const { headers } = await world.served.request('POST', '/stored')
  const cookie = String(headers['set-cookie']?.[0]?.split(';')[0])
  await world.served.request('GET', '/behind', { headers: { cookie } })
  await world.cluster.level()
  await until(async () => {
    await world.served.request('GET', '/there', { headers: { cookie } })
    return (await servedOf(world, '/there'))?.server.startsWith('127.0.0.1') === true
  }, 'a replica to answer')
  world.browser = await openBrowser()
})
test.after(async ({ browser, served, registry, cluster }) => {
  await browser.close()
  await served.close()
  await registry.close()
  await cluster.level()
})

async function recorded({ served }: World, path: string): Promise<RequestSnapshot | undefined> {
  const reply = await served.request('GET', '/_sqlassist/requests.json')
  return (reply.json().requests as RequestSnapshot[]).find(({ url }) => url === path)
}

async function servedOf(world: World, path: string) {
  const request = await recorded(world, path)
  return request?.attempts.at(-1)?.statements[0]?.servedBy
}

test('a statement has its server, its wait, and what it had to show', async (world) => {
  const behind = await servedOf(world, '/behind')
  assert.equal([behind?.server, behind?.fallback, behind?.because], ['primary', 'behind', 'own'])
  assert.ok((behind?.waitedMs ?? 0) > 0)
  const there = await servedOf(world, '/there')
  assert.equal([there?.fallback, there?.because], [undefined, 'own'])
  assert.match(there?.needed ?? '', /^[0-9A-F]+\/[0-9A-F]+$/)
})

for (const width of [320, 1440]) {
  test(`the page of a request and that of the registry show them at ${width} pixels, for everybody`, async (world) => {
    const { browser, served, cluster } = world
    const page = await browser.newPage({ viewport: { width, height: 900 }, reducedMotion: 'reduce' })
    const request = await recorded(world, '/behind')
    await page.goto(`${served.url}/_sqlassist/requests/${request?.id}`)
    const row = page.locator('.row.statement').first()
    assert.match(await row.innerText(), /primary: behind/)
    await row.locator('summary').click()
    assert.match(
      await row.locator('.detail').innerText(),
      /server\s+primary \(behind\).*waited\s+\d.*had to show\s+[0-9A-F/]+ own: what the unit/s,
    )
    await picture(page, `replicas-request-${width}`)
    assert.equal(await violations(page), [])
    await page.goto(`${served.url}/_sqlassist/registry`)
    const card = page.locator('section.card', { hasText: 'Replicas' }).first()
    const text = await card.innerText()
    for (const { name } of cluster.standbys) assert.ok(text.includes(name))
    assert.match(text, /1 statement went to the primary: 1 behind/)
    await picture(page, `replicas-registry-${width}`)
    assert.equal(await violations(page), [])
    await page.close()
  })
}

const AXE = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8')

async function violations(page: Awaited<ReturnType<Browser['newPage']>>): Promise<string[]> {
  await page.evaluate(AXE)
  const { violations: found } = await page.evaluate<AxeResults>(`axe.run()`)
  return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)
}

test.run()
