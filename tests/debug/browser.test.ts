import * as assert from 'uvu/assert'
import type { Browser, Page } from 'playwright-core'
import { Author } from '../support/entities.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'
import { openBrowser } from '../support/browser.ts'
import { picture } from '../support/picture.ts'
import { publishes, workingDay } from './busy-requests.ts'
import { openPanelWorld, type PanelWorld } from './panel-world.ts'

interface Context {
  world: PanelWorld
  browser: Browser
  page: Page
  /** What the browser complained about. */
  complaints: string[]
}

const test = suite<Context>('the debug panel in a browser')

test.before(async (context) => {
  context.browser = await openBrowser()
  context.world = await openPanelWorld('postgresql', { roles: { audit: {} } })
  await workingDay(context.world)
})
test.after(async ({ world, browser }) => {
  await browser?.close()
  await world?.close()
})
test.before.each(async (context) => {
  context.complaints = []
  context.page = await newPage(context, {})
})
test.after.each(async ({ page, complaints }) => {
  await page.context().close()
  assert.equal(complaints, [])
})

async function newPage(
  { browser, world, complaints }: Context,
  options: Parameters<Browser['newContext']>[0],
): Promise<Page> {
  const context = await browser.newContext({
    baseURL: world.server.url,
    viewport: { width: 1440, height: 900 },
    ...options,
  })
  const page = await context.newPage()
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  return page
}

async function shoot(page: Page, name: string, fullPage = true): Promise<void> {
  await page.evaluate('scrollTo(0, 0)')
  await picture(page, name, fullPage)
}

/** The page of the request with that in its name. */
async function openRequest(page: Page, { recorded }: PanelWorld, part: string): Promise<void> {
  const request = (await recorded()).find(({ url }) => url?.includes(part))
  await page.goto(`/_sqlassist/requests/${request!.id}`)
  await page.locator('.live[data-live="on"]').waitFor()
}

async function backgroundOf(page: Page): Promise<string> {
  return await page.evaluate('getComputedStyle(document.body).backgroundColor')
}

test('the list shows the latest requests as they come, and the page of one shows what it did', async ({
  page,
  world,
}) => {
  await page.goto('/_sqlassist')
  await page.locator('.live[data-live="on"]').waitFor()
  assert.is(await page.locator('.request').count(), 7)
  await shoot(page, 'panel-list-light')

  world.answer(publishes)
  await world.server.request('POST', '/articles?live=1')
  await page.locator('.request', { hasText: '/articles?live=1' }).waitFor()
  assert.is(await page.locator('.request').count(), 8)

  await page.locator('.request .cover', { hasText: 'publish-everything' }).click()
  await page.locator('h1', { hasText: 'publish-everything' }).waitFor()
  assert.match(await page.locator('.verdict').innerText(), /Aborted: an error was thrown.*could not be read/s)
  assert.match(await page.locator('.advice').first().innerText(), /24 times the same statement/)
  assert.match(await page.locator('.summary').innerText(), /ctx\.dbSession/)

  await page.locator('.row', { hasText: 'quota' }).locator('summary').first().click()
  const detail = page.locator('.row', { hasText: 'quota' }).locator('.detail')
  assert.match(await detail.innerText(), /select quota from account.*backend\s+\d+.*relation "account" does not exist/s)
  await shoot(page, 'panel-request-open-light')
})

test('a request under way is followed to its end, and what the reader opened stays open', async ({ page, world }) => {
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const
  world.answer(async (ctx) => {
    await ctx.dbSession.writer.count(Author)
    await gates[0].promise
    await ctx.dbSession.audit.count(Author)
    await gates[1].promise
    await ctx.dbSession.writer.insert(Author, { name: 'followed' })
  })
  const reply = world.server.request('GET', '/followed')
  await until(async () => (await world.recorded())[0]?.url === '/followed', 'the request')
  await openRequest(page, world, '/followed')
  assert.match(await page.locator('.verdict').innerText(), /Under way/)
  const first = page.locator('.row').first()
  await first.locator('summary').click()

  gates[0].resolve()
  await page.locator('.row', { hasText: 'audit' }).waitFor()
  assert.match(await page.locator('.roles-card').innerText(), /audit START/)
  assert.is(await first.locator('details').getAttribute('open'), '')

  gates[1].resolve()
  await page.locator('.verdict', { hasText: 'Committed: writer.' }).waitFor()
  assert.is(await first.locator('details').getAttribute('open'), '')
  await reply
  await page.locator('.badges', { hasText: '404' }).waitFor()
})

test('the list and the statements can be filtered by words and by what they are', async ({ page, world }) => {
  await page.goto('/_sqlassist')
  await page.locator('.live[data-live="on"]').waitFor()
  const shown = page.locator('.request:visible')
  await page.getByLabel('Filter requests').fill('articles doomed')
  assert.is(await shown.count(), 1)
  // what comes in meanwhile is filtered too
  world.answer((ctx) => (ctx.body = 'ok'))
  await world.server.request('GET', '/not-to-be-seen')
  await page.locator('.request', { hasText: '/not-to-be-seen' }).waitFor({ state: 'attached' })
  assert.is(await shown.count(), 1)
  await page.getByLabel('Filter requests').fill('nowhere to be found')
  await page.getByText('Nothing matches the filter.').waitFor()
  await page.getByLabel('Filter requests').press('Escape')
  await page.getByRole('button', { name: 'repeated' }).click()
  assert.is(await shown.count(), 1)

  await openRequest(page, world, 'publish-everything')
  const rows = page.locator('.row:visible')
  await page.locator('.lines').getByRole('button', { name: 'logger' }).click()
  assert.equal(await rows.locator('.role').allInnerTexts(), ['logger', 'logger', 'logger'])
  await page.getByLabel('Filter statements').fill('commit')
  assert.is(await rows.count(), 1)
})

test('the panel is dark where the system is, or where the reader says so, which is remembered', async (context) => {
  const { page, world, browser } = context
  await page.goto('/_sqlassist')
  const light = await backgroundOf(page)
  await page.keyboard.press('t')
  await page.keyboard.press('t')
  assert.is.not(await backgroundOf(page), light)
  await page.reload()
  assert.is.not(await backgroundOf(page), light)
  await page.getByRole('button', { name: /Theme/ }).click()
  assert.is(await backgroundOf(page), light)

  const dark = await newPage(context, { colorScheme: 'dark' })
  await dark.goto('/_sqlassist')
  await dark.locator('.live[data-live="on"]').waitFor()
  assert.is.not(await backgroundOf(dark), light)
  await shoot(dark, 'panel-list-dark')
  await openRequest(dark, world, 'publish-everything')
  await dark.locator('.row', { hasText: 'quota' }).locator('summary').first().click()
  await shoot(dark, 'panel-request-dark')
  await dark.context().close()
  assert.ok(browser.isConnected())
})

test('the panel fits a narrow window', async ({ page, world }) => {
  await page.setViewportSize({ width: 390, height: 844 })
  await page.goto('/_sqlassist')
  await page.locator('.live[data-live="on"]').waitFor()
  await shoot(page, 'panel-list-narrow-light')
  assert.is(await page.evaluate('document.documentElement.scrollWidth'), 390)
  await page.emulateMedia({ colorScheme: 'dark' })
  await openRequest(page, world, 'publish-everything')
  await page.locator('.row', { hasText: 'quota' }).locator('summary').first().click()
  await shoot(page, 'panel-request-narrow-dark', false)
  assert.is(await page.evaluate('document.documentElement.scrollWidth'), 390)
  await page.goto('/_sqlassist/registry')
  assert.is(await page.evaluate('document.documentElement.scrollWidth'), 390)
})

test('the panel can be used by keyboard alone', async ({ page }) => {
  await page.goto('/_sqlassist')
  await page.locator('.live[data-live="on"]').waitFor()
  await page.keyboard.press('/')
  await page.keyboard.type('publish-everything')
  await page.keyboard.press('Tab')
  await page.keyboard.press('j')
  await page.keyboard.press('Enter')
  await page.locator('h1', { hasText: 'publish-everything' }).waitFor()
  // a key that is pressed before the scripts have run is nobody's
  await page.waitForLoadState()
  await page.keyboard.press('j')
  await page.keyboard.press('Enter')
  await page.locator('.row details[open]').waitFor()
  await page.keyboard.press('b')
  await page.locator('h1', { hasText: 'Requests' }).waitFor()
})

test('attempts stand one below the other, the last one open', async ({ page, world }) => {
  const run = (await world.recorded()).find(({ kind }) => kind === 'run')
  await page.goto(`/_sqlassist/requests/${run!.id}`)
  const open = await page.evaluate(`[...document.querySelectorAll('.attempt')].map((each) => each.open)`)
  assert.equal(open, [false, true])
  await page.locator('.attempt').first().locator('summary').first().click()
  assert.match(await page.locator('.attempt').first().innerText(), /deadlock detected/)
  await shoot(page, 'panel-attempts-light')
})

test('pages can be read without scripts', async (context) => {
  const page = await newPage(context, { javaScriptEnabled: false })
  await page.goto('/_sqlassist')
  await page.locator('.request .cover', { hasText: 'publish-everything' }).click()
  await page.locator('.row', { hasText: 'quota' }).locator('summary').first().click()
  await page.locator('.row .error-message').first().waitFor()
  await page.context().close()
})

test('the link in an application’s page works under the strictest policy', async ({ page, world }) => {
  world.answer(async (ctx) => {
    await ctx.dbSession.reader.count(Author)
    ctx.set('Content-Security-Policy', "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'")
    ctx.body = '<!doctype html><title>Application</title><link rel="icon" href="data:,"><body><h1>Hello</h1></body>'
  })
  await page.goto('/hello')
  await page.getByRole('link', { name: /^sqlassist: 1 statement, / }).click()
  await page.locator('h1', { hasText: '/hello' }).waitFor()
})

test.run()
