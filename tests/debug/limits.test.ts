import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import * as assert from 'uvu/assert'
import type { RequestSnapshot } from '../../source/debug/index.ts'
import { maskLiterals, shapeOf } from '../../source/debug/mask-literals.ts'
import { debugPanel } from '../../source/debug/index.ts'
import { Author } from '../support/entities.ts'
import { rejection } from '../support/rejection.ts'
import { suite } from '../support/suite.ts'
import { openPanelWorld } from './panel-world.ts'

const test = suite('what the debug panel keeps')

function statementsOf({ attempts }: RequestSnapshot): string[] {
  return attempts.flatMap(({ statements }) => statements.map(({ sql }) => sql))
}

test('the latest requests, and of those that are over the oldest goes first', async () => {
  const world = await openPanelWorld('sqlite', { panel: { keep: 3 } })
  const gate = Promise.withResolvers<void>()
  const arrived = Promise.withResolvers<void>()
  world.answer(async () => {
    arrived.resolve()
    await gate.promise
  })
  const slow = world.server.request('GET', '/slow')
  await arrived.promise
  for (const path of ['/1', '/2', '/3', '/4']) await world.record((ctx) => (ctx.body = 'ok'), 'GET', path)
  assert.equal(
    (await world.recorded()).map(({ url }) => url),
    ['/4', '/3', '/slow'],
  )
  gate.resolve()
  await slow
  await world.close()
})

test('a bounded number of statements, of steps and of attempts, and counts the rest', async () => {
  const world = await openPanelWorld('sqlite', { panel: { statements: 5 }, attempts: 30 })
  const request = await world.record(async (ctx) => {
    for (let index = 0; index < 8; index++) await ctx.dbSession.reader.execute(`select ${index} as number`)
    for (let index = 0; index < 8; index++) await (await ctx.txn.savepoint()).rollback()
    if (ctx.tm.attempt < 25) throw Object.assign(new Error('again'), { code: '40001' })
  })
  assert.is(request.attempts.length, 20)
  assert.is(request.droppedAttempts, 5)
  const count = (list: (attempt: RequestSnapshot['attempts'][number]) => readonly unknown[]): number =>
    request.attempts.reduce((sum, attempt) => sum + list(attempt).length, 0)
  for (const list of ['statements', 'steps', 'ends', 'transactions'] as const) {
    assert.ok(count((attempt) => attempt[list]) <= 5, list)
  }
  const last = request.attempts.at(-1)!
  assert.equal(
    last.statements.map(({ sql }) => sql),
    [0, 1, 2, 3, 4].map((number) => `select ${number} as number`),
  )
  assert.ok(last.dropped.statements === 3 && last.dropped.steps > 0)
  assert.is(request.totals.statements, 20 * 8)
  const page = await world.server.request('GET', `/_sqlassist/requests/${request.id}`)
  assert.match(page.text, /3 statements\s+are over the limit/)
  await world.close()
})

test('a bounded number of transactions and of their ends, however many a handler has', async () => {
  const world = await openPanelWorld('sqlite', { panel: { statements: 5 } })
  const request = await world.record(async (ctx) => {
    for (let index = 0; index < 8; index++) {
      await ctx.dbSession.writer.insert(Author, { name: `author ${index}` })
      await ctx.txn.commit()
      await ctx.tm.begin()
    }
  })
  const { transactions, ends } = request.attempts[0]!
  assert.equal([transactions.length, ends.length], [5, 5])
  await world.close()
})

test('a bounded part of each text', async () => {
  const world = await openPanelWorld('sqlite', { panel: { statementLength: 100 } })
  const request = await world.record(
    async (ctx) => {
      ctx.txn.note('n'.repeat(100_000))
      ctx.txn.setUser('u'.repeat(100_000))
      ctx.txn.addBeforeCommitHook(Object.defineProperty(() => undefined, 'name', { value: 'h'.repeat(100_000) }))
      await ctx.dbSession.reader.execute(`select '${'s'.repeat(500_000)}' as text`)
      await ctx.dbSession.reader
        .getKysely()
        .selectFrom('author')
        .selectAll()
        .where('name', 'in', ['p'.repeat(100_000), ...Array.from({ length: 200 }, String)])
        .execute()
      await rejection(ctx.txn.commit())
      throw new Error('m'.repeat(100_000), { cause: new Error('c'.repeat(100_000)) })
    },
    'GET',
    `/${'x'.repeat(10_000)}`,
  )
  const [first, second] = request.attempts[0]!.statements
  assert.equal([first!.sql.length, first!.cutCharacters], [100, 500_000 + 17 - 100])
  assert.ok(second!.parameters.length <= 51)
  assert.ok(JSON.stringify(request).length < 25_000, String(JSON.stringify(request).length))
  await world.close()
})

test('no value of a statement where parameters are hidden, in none of what it shows', async () => {
  const world = await openPanelWorld('sqlite', { panel: { hideParameters: true } })
  const secret = 'hunter2'
  await world.record(
    async (ctx) => {
      const { writer } = ctx.dbSession
      await writer.insert(Author, { name: `${secret}'s "own"` })
      await writer.execute('select * from author where name = ? and id = 471147114711', [secret])
      await writer.getKysely().selectFrom('author').selectAll().where('name', '=', secret).execute()
      await writer.execute(`select 1 -- ${secret}\n as one /* ${secret} */`)
      await rejection(writer.execute(`select '${secret}' from nowhere`))
      throw new Error(`no ${secret}\n    at ${secret}`, { cause: `of ${secret}` })
    },
    'GET',
    `/login?password=${secret}`,
  )
  const [request] = await world.recorded()
  const page = await world.server.request('GET', `/_sqlassist/requests/${request!.id}`)
  for (const text of [JSON.stringify(request), page.text]) {
    assert.not(text.includes(secret))
    assert.not(text.includes('471147114711'))
  }
  assert.is(request!.url, '/login?…')
  assert.match(statementsOf(request!)[0]!, /^insert into .author. \(.name.\) values \(\?\)/)
  assert.equal(request!.attempts[0]!.statements[2]!.parameters, ['?'])
  assert.is(request!.attempts[0]!.error!.message, '(hidden)')
  const changed = await world.record(async (ctx) => {
    const { writer } = ctx.dbSession
    ;(await writer.findOneOrFail(Author, 7)).name = secret
    await writer.flush()
    ctx.txn.doom()
  })
  const { entries } = changed.attempts[0]!.changes!
  assert.equal(
    entries.map(({ entity, id, properties }) => [entity, id, properties]),
    [['Author', '?', ['name']]],
  )
  await world.close()
})

test('literals are found as the databases read them', () => {
  const cases: Readonly<Record<string, string>> = {
    [`select 'it''s' as "it's 1"`]: `select ? as "it's 1"`,
    [`select e'it\\'s' || 'x'`]: 'select ? || ?',
    [`select $$a 'b' 1$$, $tag$ $$ 2 $tag$`]: 'select ?, ?',
    ['select a1.b2 from t_3 where c = $4 and d = ?']: 'select a1.b2 from t_3 where c = ? and d = ?',
    ['select -1.5e-7, .5, 0xFF, 1']: 'select -?, ?, ?, ?',
    [`select x'00ff', n'text', b'01'`]: 'select ?, ?, ?',
    [`select 1 -- it's 2\n, 3 /* 'four */`]: 'select ?  \n, ?  ',
    [`select 'never ended 1`]: 'select ?',
    ['select `a 1`']: 'select `a 1`',
    ['select 1 /* never ended 2']: 'select ?  ',
  }
  for (const [sql, masked] of Object.entries(cases)) assert.is(maskLiterals(sql), masked)
  assert.is(shapeOf(`insert into t (a, b)\n values (1, 'x'), (2, 'y')`), 'insert into t (a, b) values (?)')
  assert.is(shapeOf('select * from t where id in (1,2, 3)'), shapeOf('select * from t where id in (7)'))
  assert.is.not(shapeOf('select a from t'), shapeOf('select b from t'))
})

test('masking takes no longer than the text is long', () => {
  for (const piece of [`'`, `"`, '$$', '$a$', '/*', '--', `e'\\`, '(?), ', '? , ', '1', '`', '((', ' ']) {
    maskLiterals(piece.repeat(50_000))
    shapeOf(piece.repeat(50_000))
  }
})

test('nothing, where it is not mounted: no channel has a subscriber before, nor after it was closed', async () => {
  const { channel, tracingChannel } = await import('node:diagnostics_channel')
  const plain =
    'unit:start unit:end registry:close session:open session:flush session:close transaction:begin transaction:join transaction:call'
  const traced =
    'session:statement session:end transaction:commit transaction:abort transaction:savepoint transaction:rollback'
  const listened = (): string[] => [
    ...plain.split(' ').filter((name) => channel(`sqlassist:${name}`).hasSubscribers),
    ...traced.split(' ').filter((name) => tracingChannel(`sqlassist:${name}`).hasSubscribers),
  ]
  assert.equal(listened(), [])
  const world = await openPanelWorld('sqlite')
  assert.is(listened().length, 15)
  const other = debugPanel(world.registry)
  other.close()
  assert.is(listened().length, 15)
  await world.close()
  assert.equal(listened(), [])
})

test('nothing of it is part of the package’s other entries', async () => {
  for (const entry of ['index.ts', 'transaction/index.ts']) {
    const { metafile } = await build({
      absWorkingDir: fileURLToPath(new URL('../../', import.meta.url)),
      entryPoints: [`source/${entry}`],
      bundle: true,
      platform: 'node',
      format: 'esm',
      packages: 'external',
      write: false,
      metafile: true,
    })
    const inputs = Object.keys(metafile.inputs)
    assert.ok(inputs.some((path) => path.startsWith('source/transaction/')))
    assert.equal(
      inputs.filter((path) => path.startsWith('source/debug/')),
      [],
    )
  }
})

test('what was recorded can still be looked at when the panel and the registry are closed', async () => {
  const world = await openPanelWorld('sqlite')
  const request = await world.record((ctx) => ctx.dbSession.reader.count(Author))
  await world.registry.close()
  for (const path of ['', `/requests/${request.id}`, '/registry', '/requests.json', '/registry.json']) {
    assert.is((await world.server.request('GET', `/_sqlassist${path}`)).status, 200, path)
  }
  await world.server.close()
})

test.run()
