import { createServer } from 'node:http'
import * as assert from 'uvu/assert'
import Koa from 'koa'
import { debugPanel } from '../../source/debug/index.ts'
import { requestPage } from '../../source/debug/pages/request-page.ts'
import { layout } from '../../source/debug/pages/layout.ts'
import { registryPage } from '../../source/debug/pages/registry-part.ts'
import { html } from '../../source/debug/pages/html.ts'
import type { RecordedRequest } from '../../source/debug/index.ts'
import { dbSessions, EngineRegistry } from '../../source/index.ts'
import { Author } from '../support/entities.ts'
import { serve } from '../support/http.ts'
import { newDatabase, openOrm } from '../support/orms.ts'
import { openBrowser } from '../support/browser.ts'
import { suite } from '../support/suite.ts'
import { openPanelWorld } from './panel-world.ts'

const test = suite('hostile values in the debug panel')

/** Breaks out of text, attributes in either quotes, comments and scripts, and says so if it could run. */
const ATTACK = `'"><img src=x onerror="window.pwned=1"></pre></title></script><script>window.pwned=1</script>--><!--\``
const MARK = /<(?:img|script)\b(?! src="[^"]*panel\.js")/i

test('every field of a record is text on the page, wherever it is shown', () => {
  // Every string of it is hostile, those included that the library never makes so.
  const span = { atMs: 1, tookMs: 2 }
  const error = {
    name: `${ATTACK}name`,
    message: `${ATTACK}message`,
    code: `${ATTACK}code`,
    frames: [`at ${ATTACK}`],
    cause: { name: ATTACK, message: ATTACK, code: ATTACK, frames: [ATTACK], cause: undefined },
  }
  const statement = {
    ...span,
    error,
    role: ATTACK,
    sql: ATTACK,
    cutCharacters: 1,
    shape: ATTACK,
    parameters: [ATTACK],
    rows: 1,
    inTransaction: false,
    readOnly: false,
    begins: true,
    backend: 1,
  }
  const step = { ...span, error, subject: ATTACK, detail: ATTACK, transaction: 1 }
  const steps = ['begin', 'join', 'savepoint', 'rollback', 'call', 'commit', 'abort', 'open', 'close'] as const
  const hows = ['commit', 'prepare', 'rollback', 'commit prepared'] as const
  const attempt = {
    ...span,
    error,
    attempt: 1,
    outcome: 'aborted',
    reason: 'failed',
    retries: true,
    transactions: [{ description: ATTACK, user: ATTACK, status: ATTACK }],
    roles: [{ role: ATTACK, status: 'END', state: 'changed', backends: [1], statements: 3 }],
    statements: [statement, statement, statement],
    ends: hows.map((how) => ({
      ...span,
      error: undefined,
      role: ATTACK,
      how,
      gid: `${how}${ATTACK}`,
      decides: true,
      backend: 1,
    })),
    steps: steps.map((each) => ({ ...step, step: each })),
    changes: {
      entries: [
        {
          role: ATTACK,
          atMs: 1,
          kind: 'update',
          entity: ATTACK,
          id: ATTACK,
          properties: [ATTACK, `${ATTACK}2`],
          emptied: [ATTACK],
        },
      ],
      dropped: 1,
    },
    dropped: { statements: 1, steps: 1 },
  } as const
  const request = {
    id: 'a-1',
    kind: 'request',
    startedAt: 0,
    method: ATTACK,
    url: ATTACK,
    property: ATTACK,
    status: 500,
    clientLeft: false,
    tookMs: 3,
    attempts: [attempt, { ...attempt, attempt: 2 }],
    droppedAttempts: 1,
  } as unknown as RecordedRequest
  const role = {
    role: ATTACK,
    default: true,
    dialect: ATTACK,
    database: ATTACK,
    isolationLevel: ATTACK,
    pool: undefined,
  }
  const report = { unitsUnderWay: 1, disablesTransactions: true, roles: [role] } as never
  const inDoubt = [{ role: ATTACK, prepared: [{ id: ATTACK, ageMs: 1 }], error: new Error(ATTACK) }]
  const facts = {
    base: '/_sqlassist',
    request,
    newer: request,
    older: request,
    roles: [ATTACK],
    report,
    inDoubt,
    nowMs: 5,
  }
  const registry = {
    title: ATTACK,
    current: 'registry',
    follows: ATTACK,
    content: registryPage(report, html``, inDoubt),
  } as const
  for (const page of [requestPage(facts), registry]) {
    const text = layout({ base: '/_sqlassist', nonce: 'n' }, page)
    const shown = text.replace(/<script src="\/_sqlassist\/panel\.js" nonce="n"><\/script>/, '')
    assert.not.match(shown, MARK)
    assert.not.match(shown, /<!--/)
    // As many quotes open as close: no attribute was left.
    for (const [tag] of shown.matchAll(/<[a-z][^>]*>/gi)) assert.is((tag.match(/"/g) ?? []).length % 2, 0, tag)
    assert.ok(text.includes('&#39;&quot;&gt;&lt;img'))
  }
})

test('what a request can bring in stays text in a browser, and runs nowhere', async () => {
  const target = await newDatabase('sqlite', 'hostile')
  const registry = new EngineRegistry({ writer: await openOrm(target) })
  const panel = debugPanel(registry)
  const app = new Koa()
  app.use(panel)
  app.use(dbSessions(registry, { property: ATTACK }))
  app.use(async (ctx: any) => {
    const { writer } = ctx[ATTACK]
    ctx.txn.note(ATTACK)
    ctx.txn.setUser(ATTACK)
    ctx.txn.addBeforeAbortHook(Object.defineProperty(() => undefined, 'name', { value: ATTACK }))
    await writer.insert(Author, { name: ATTACK })
    await writer.getKysely().selectFrom('author').selectAll().where('name', '=', ATTACK).execute()
    for (const id of [1, 2, 3]) await writer.execute(`select '${ATTACK.replaceAll("'", "''")}', ? as "${id}"`, [ATTACK])
    throw Object.assign(new Error(ATTACK, { cause: ATTACK }), { code: ATTACK, name: ATTACK })
  })
  const server = await serve(app)
  await server.request('GET', `/${encodeURI(ATTACK).replaceAll("'", '%27')}?q='"><img/src=x/onerror=window.pwned=1>`)
  const [recorded] = (await server.request('GET', '/_sqlassist/requests.json')).json().requests
  assert.is(recorded.property, ATTACK)
  assert.is(recorded.attempts[0].error.message, ATTACK)
  assert.ok(recorded.url.includes('<img/src=x'))

  const browser = await openBrowser()
  try {
    const page = await browser.newPage({ baseURL: server.url })
    const complaints: string[] = []
    page.on('console', (message) => complaints.push(message.text()))
    for (const path of ['', `/requests/${recorded.id}`, '/registry']) {
      const answer = await page.goto(`/_sqlassist${path}`)
      assert.not.match(await answer!.text(), MARK, path)
      if (path !== '/registry') await page.locator('.live[data-live="on"]').waitFor()
      assert.is(await page.evaluate('window.pwned'), undefined)
      assert.is(await page.evaluate(`document.querySelectorAll('img, main script').length`), 0)
    }
    assert.equal(complaints, [])
  } finally {
    await browser.close()
  }
  await server.close()
  await registry.close()
})

test('the panel’s own pages forbid what is not theirs, and are kept by nobody', async () => {
  const world = await openPanelWorld('sqlite')
  const nonces = new Set<string>()
  for (const path of ['', '/requests.json', '/registry', '/panel.css', '/panel.js', '/icon.svg', '/nowhere']) {
    const { headers, text } = await world.server.request('GET', `/_sqlassist${path}`)
    const policy = String(headers['content-security-policy'])
    assert.match(policy, /^default-src 'none'; script-src 'nonce-[\w+/=]{24}'; style-src 'nonce-/, path)
    assert.not.match(policy, /unsafe|https?:|\*/)
    nonces.add(/nonce-([^']+)/.exec(policy)![1]!)
    assert.match(String(headers['cache-control']), /no-store/)
    assert.equal(
      [headers['x-content-type-options'], headers['x-frame-options'], headers['cross-origin-resource-policy']],
      ['nosniff', 'DENY', 'same-origin'],
    )
    assert.not.match(text, /\sstyle="|\son\w+="|<(?:link|script)[^>]*(?:href|src)="(?!\/_sqlassist)/)
  }
  assert.is(nonces.size, 7)
  await world.close()
})

test('a page elsewhere cannot read what is recorded', async () => {
  const world = await openPanelWorld('sqlite')
  const elsewhere = createServer((_, res) => res.setHeader('content-type', 'text/html').end('<title>elsewhere</title>'))
  await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve))
  const { port } = elsewhere.address() as { port: number }
  const browser = await openBrowser()
  try {
    const page = await browser.newPage()
    await page.goto(`http://127.0.0.1:${port}/`)
    const read = await page.evaluate(
      `fetch('${world.server.url}/_sqlassist/requests.json').then(() => 'read', () => 'refused')`,
    )
    assert.is(read, 'refused')
  } finally {
    await browser.close()
    elsewhere.closeAllConnections()
    await new Promise((resolve) => elsewhere.close(resolve))
    await world.close()
  }
})

test.run()
