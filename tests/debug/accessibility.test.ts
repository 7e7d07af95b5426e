import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { AxeResults } from 'axe-core'
import * as assert from 'uvu/assert'
import type { Browser, Page } from 'playwright-core'
import { openBrowser } from '../support/browser.ts'
import { Author } from '../support/entities.ts'
import { suite } from '../support/suite.ts'
import { changesByReading, workingDay } from './busy-requests.ts'
import { openPanelWorld, type PanelWorld } from './panel-world.ts'

/** A phone, a tablet, a notebook, a wide screen. */
const WIDTHS = [320, 768, 1440, 1920]
/** A wide screen has the layout of a notebook. */
const CHECKED = new Set([320, 768, 1440])
const AXE = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8')
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']

interface Context {
  world: PanelWorld
  empty: PanelWorld
  browser: Browser
  page: Page
  complaints: string[]
}

const test = suite<Context>('the debug panel for everybody')

test.before(async (context) => {
  context.complaints = []
  context.browser = await openBrowser()
  context.world = await openPanelWorld('postgresql', { roles: { audit: {} } })
  context.empty = await openPanelWorld('sqlite')
  context.page = await context.browser.newPage({ reducedMotion: 'reduce' })
  context.page.on('console', (message) => {
    // Of the page that is not there, the browser complains.
    if (!message.text().includes('404')) context.complaints.push(message.text())
  })
  await workingDay(context.world)
  await context.world.record(changesByReading, 'GET', '/articles/of-the-week')
})
test.after(async ({ world, empty, browser, complaints }) => {
  await browser?.close()
  await empty?.close()
  await world?.close()
  assert.equal(complaints, [])
})

/** Where the request is shown that has that in its name. */
async function pathOf({ recorded }: PanelWorld, part: string): Promise<string> {
  const request = (await recorded()).find(({ kind, url }) => (url ?? kind).includes(part))
  return `/requests/${request!.id}`
}

type Open = (context: Context) => Promise<void>

async function open({ page, world }: Context, path: string): Promise<void> {
  await page.goto(`${world.server.url}/_sqlassist${path}`)
}

const unfold = ({ page }: Context): Promise<void> =>
  page.evaluate(`for (const each of document.querySelectorAll('details')) each.open = true`)

const PAGES: Readonly<Record<string, Open>> = {
  'the empty list': async ({ page, empty }) => void (await page.goto(`${empty.server.url}/_sqlassist`)),
  'the list': (context) => open(context, ''),
  'a request, with everything opened': async (context) => {
    await open(context, await pathOf(context.world, 'publish-everything'))
    await unfold(context)
  },
  'a GET that changed entities': async (context) => open(context, await pathOf(context.world, 'of-the-week')),
  'a run of two attempts, both opened': async (context) => {
    await open(context, await pathOf(context.world, 'run'))
    await unfold(context)
  },
  'the registry': (context) => open(context, '/registry'),
  'a message': (context) => open(context, '/nowhere'),
}

/** What axe finds wrong, a line for each rule and element. */
async function violations(page: Page, runOnly: readonly string[], without: readonly string[] = []): Promise<string[]> {
  const rules = Object.fromEntries(without.map((rule) => [rule, { enabled: false }]))
  const options = JSON.stringify({ runOnly, rules, resultTypes: ['violations'] })
  const found = await page.evaluate<AxeResults>(`axe.run(document, ${options})`)
  return found.violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html}\n${failureSummary}`),
  )
}

for (const [name, openPage] of Object.entries(PAGES)) {
  test(`${name}: axe finds nothing wrong at any width, in light and dark, and nothing is wider than the window`, async (context) => {
    const { page } = context
    await page.emulateMedia({ colorScheme: 'light' })
    await page.setViewportSize({ width: 1440, height: 900 })
    await openPage(context)
    await page.evaluate(AXE)
    const found: Record<string, unknown> = {}
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: 900 })
      const widest = await page.evaluate('document.documentElement.scrollWidth')
      if (widest !== width) found[width] = `is ${String(widest)} px wide`
      // No colour depends on the width.
      if (CHECKED.has(width))
        found[`light ${width}`] = await violations(page, TAGS, width < 1440 ? ['color-contrast'] : [])
    }
    await page.emulateMedia({ colorScheme: 'dark' })
    found['dark'] = await violations(page, ['color-contrast'])
    const expected = Object.fromEntries([...CHECKED].map((width) => [`light ${width}`, []]))
    assert.equal(found, { ...expected, dark: [] })
  })
}

test('a row shows 70 characters of SQL on a notebook and 110 on a wide screen, in one line', async (context) => {
  const { page } = context
  await open(context, await pathOf(context.world, 'publish-everything'))
  for (const [width, characters] of [
    [1440, 70],
    [1920, 110],
  ] as const) {
    await page.setViewportSize({ width, height: 900 })
    const rows = await page.evaluate<
      [number, number][]
    >(`[...document.querySelectorAll('.row.statement')].map((row) => {
      const code = row.querySelector('.text code')
      const ofOne = code.getBoundingClientRect().width / code.textContent.length
      return [Math.floor(row.querySelector('.text').clientWidth / ofOne), row.offsetHeight]
    })`)
    assert.is.not(rows.length, 0)
    assert.equal(
      rows.filter(([fitting, height]) => fitting < characters || height > 32),
      [],
    )
  }
})

test('requests that come in are announced, how many a filter shows, and how a request ended', async (context) => {
  const { page, world } = context
  const news = page.locator('[role="status"][data-news]')
  await open(context, '')
  await page.locator('.live[data-live="on"]').waitFor()
  await world.record((ctx) => (ctx.body = 'ok'), 'GET', '/announced')
  await news.filter({ hasText: '1 new request' }).waitFor({ state: 'attached' })
  await page.getByLabel('Filter requests').fill('announced')
  await news.filter({ hasText: /^1 of \d+ shown$/ }).waitFor({ state: 'attached' })

  const gate = Promise.withResolvers<void>()
  world.answer(async (ctx) => {
    await ctx.dbSession.writer.count(Author)
    await gate.promise
    ctx.body = 'ok'
  })
  const reply = world.server.request('GET', '/slow')
  await page.getByLabel('Filter requests').fill('slow')
  await page.locator('.request:visible .cover', { hasText: '/slow' }).click()
  await page.locator('.verdict', { hasText: 'Under way' }).waitFor()
  await page.locator('.live[data-live="on"]').waitFor()
  gate.resolve()
  await reply
  await news.filter({ hasText: 'Committed' }).waitFor({ state: 'attached' })
})

test('keys of one letter can be switched off, which is remembered', async (context) => {
  const { page } = context
  await open(context, '')
  await page.getByRole('button', { name: 'Keys: on' }).click()
  await page.reload()
  await page.getByRole('button', { name: 'Keys: off' }).waitFor()
  await page.keyboard.press('j')
  assert.is(await page.locator('.cover:focus').count(), 0)
  await page.getByRole('button', { name: 'Keys: off' }).click()
  await page.keyboard.press('j')
  assert.is(await page.locator('.cover:focus').count(), 1)
})

test('moves only where the reader wants motion', async ({ page, world }) => {
  await page.goto(`${world.server.url}/_sqlassist`)
  const moving = `[...document.styleSheets[0].cssRules].filter((rule) => rule.cssText.includes('animation')).map((rule) => rule.conditionText)`
  assert.equal(await page.evaluate(moving), ['(prefers-reduced-motion: no-preference)'])
})

test.run()
