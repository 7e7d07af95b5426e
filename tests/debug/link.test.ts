import { createGzip } from 'node:zlib'
import { Readable } from 'node:stream'
import Koa, { type Context } from 'koa'
import * as assert from 'uvu/assert'
import { debugPanel } from '../../source/debug/index.ts'
import { dbSessions } from '../../source/index.ts'
import { Author } from '../support/entities.ts'
import { serve, type Reply } from '../support/http.ts'
import { suite } from '../support/suite.ts'
import { openPanelWorld, type PanelWorld } from './panel-world.ts'

const test = suite<{ world: PanelWorld }>('what the debug panel adds to a response')

test.before(async (context) => {
  context.world = await openPanelWorld('sqlite')
})
test.after(({ world }) => world.close())

const LINK = /<small><a href="\/_sqlassist\/requests\/[\w-]+">sqlassist: 1 statement, [\d.]+ ms<\/a><\/small>/

async function reply(
  { answer, server }: PanelWorld,
  handler: (ctx: Context) => void,
  headers: Record<string, string> = {},
  method = 'GET',
): Promise<Reply> {
  answer(async (ctx) => {
    await ctx.dbSession.reader.count(Author)
    handler(ctx)
  })
  return await server.request(method, '/', { headers })
}

test('an HTML page gets a link to the page of its request, before the end of its body', async ({ world }) => {
  const page = '<!doctype html><body><script>"</body>"</script><h1>Grüße</h1></BODY ></html>'
  for (const body of [page, Buffer.from(page)]) {
    const { text, headers } = await reply(world, (ctx) => {
      ctx.type = 'html'
      ctx.body = body
    })
    assert.match(text, LINK)
    assert.is(text.replace(LINK, ''), page)
    assert.ok(text.includes('</small></BODY ></html>'))
    assert.is(headers['content-length'], String(Buffer.byteLength(text)))
    const [, path = ''] = /href="([^"]+)"/.exec(text) ?? []
    assert.is((await world.server.request('GET', path)).status, 200)
  }
})

test('a page without a body tag gets it at the end, and bytes that are not UTF-8 stay as they are', async ({
  world,
}) => {
  const { text } = await reply(world, (ctx) => (ctx.body = '<h1>short</h1>'))
  assert.match(text, /^<h1>short<\/h1><small>/)

  world.answer(async (ctx) => {
    await ctx.dbSession.reader.count(Author)
    ctx.type = 'text/html; charset=iso-8859-1'
    ctx.body = Buffer.from([0x3c, 0x70, 0x3e, 0xfc, 0xdf])
  })
  const head = await world.server.open('GET', '/').head
  const bytes = Buffer.concat(await Array.fromAsync(head as AsyncIterable<Buffer>))
  assert.equal([...bytes.subarray(0, 5)], [0x3c, 0x70, 0x3e, 0xfc, 0xdf])
  assert.match(bytes.subarray(5).toString('latin1'), LINK)
})

test('what is no whole HTML text stays as it is', async ({ world }) => {
  const html = '<body>as it is</body>'
  const untouched: Readonly<Record<string, readonly [(ctx: Context) => void, Record<string, string>?]>> = {
    json: [(ctx) => (ctx.body = { html })],
    text: [
      (ctx) => {
        ctx.type = 'text'
        ctx.body = html
      },
    ],
    stream: [
      (ctx) => {
        ctx.type = 'html'
        ctx.body = Readable.from([html])
      },
    ],
    'a part of a page, fetched by a script': [(ctx) => (ctx.body = html), { 'sec-fetch-dest': 'empty' }],
    'another encoding of characters': [
      (ctx) => {
        ctx.type = 'text/html; charset=utf-16le'
        ctx.body = Buffer.from(html, 'utf16le')
      },
    ],
  }
  for (const [name, [handler, headers]] of Object.entries(untouched)) {
    const { text } = await reply(world, handler, headers)
    assert.not(text.includes('_sqlassist'), name)
    assert.ok(text.replaceAll('\0', '').includes(html), name)
  }
  const zipped = await reply(world, (ctx) => {
    ctx.type = 'html'
    ctx.set('Content-Encoding', 'gzip')
    ctx.body = createGzip().end(html)
  })
  assert.is(zipped.headers['content-encoding'], 'gzip')
  const encoded = await reply(world, (ctx) => {
    ctx.type = 'html'
    ctx.set('Content-Encoding', 'identity')
    ctx.body = html
  })
  assert.is(encoded.text, html)
})

test('answers without a body get none: HEAD, 204, 304', async ({ world }) => {
  const head = await reply(world, (ctx) => (ctx.body = '<body></body>'), {}, 'HEAD')
  assert.equal([head.status, head.text, head.headers['content-length']], [200, '', '13'])
  for (const status of [204, 304]) {
    const empty = await reply(world, (ctx) => {
      ctx.body = '<body></body>'
      ctx.status = status
    })
    assert.equal([empty.status, empty.text], [status, ''])
  }
})

test('Server-Timing shows the time in the databases and of the commit, beside what is there', async ({ world }) => {
  const { headers } = await reply(world, (ctx) => {
    ctx.set('Server-Timing', 'app;dur=1')
    ctx.txn.note('asked for')
    ctx.body = {}
  })
  assert.match(String(headers['server-timing']), /^app;dur=1, db;dur=[\d.]+;desc="1 statement", commit;dur=[\d.]+$/)

  world.answer((ctx) => (ctx.body = 'nothing asked'))
  const idle = await world.server.request('GET', '/')
  assert.match(String(idle.headers['server-timing']), /^db;dur=0;desc="0 statements"$/)

  const retried = await openPanelWorld('sqlite', { attempts: 2 })
  retried.answer((ctx) => {
    if (ctx.tm.attempt === 1) throw Object.assign(new Error('again'), { code: '40001' })
    ctx.body = 'ok'
  })
  const { headers: again } = await retried.server.request('GET', '/')
  assert.match(String(again['server-timing']), /attempts;desc="2"$/)
  await retried.close()
})

test('a request without a unit of work is left alone', async () => {
  const world = await openPanelWorld('sqlite', { sessions: { activate: () => false } })
  world.answer((ctx) => (ctx.body = '<body></body>'))
  const { text, headers } = await world.server.request('GET', '/')
  assert.equal([text, headers['server-timing']], ['<body></body>', undefined])
  assert.equal(await world.recorded(), [])
  await world.close()
})

test('below a mount the link and the pages name the whole path, and never another host', async ({ world }) => {
  const panel = debugPanel(world.registry, { path: '/tools/sql' })
  const app = new Koa()
  // As koa-mount does.
  app.use(async (ctx, next) => {
    if (ctx.path.startsWith('/shop')) ctx.path = ctx.path.slice('/shop'.length) || '/'
    if (ctx.path.startsWith('//evil.example')) ctx.path = '/x'
    await next()
  })
  app.use(panel)
  app.use(dbSessions(world.registry))
  app.use((ctx) => (ctx.body = '<body></body>'))
  const server = await serve(app)
  for (const path of ['/shop', '/shop/', '/shop/item?q=1']) {
    assert.match((await server.request('GET', path)).text, /href="\/shop\/tools\/sql\/requests\//, path)
  }
  assert.match((await server.request('GET', '//evil.example/x')).text, /href="\/tools\/sql\/requests\//)
  const page = await server.request('GET', '/shop/tools/sql')
  assert.match(page.text, /href="\/shop\/tools\/sql\/panel\.css"/)
  assert.is((await server.request('GET', '/tools/sqlx')).text.includes('sqlassist:'), true)
  await server.close()
  panel.close()
})

test.run()
