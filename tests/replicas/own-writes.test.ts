/** What a client has committed is there for its next read, though the replicas lag. */
import Koa from 'koa'
import * as assert from 'uvu/assert'
import {
  dbSessions,
  EngineRegistry,
  InvalidPositionError,
  positionHeader,
  positionOf,
  type DbSessionsOptions,
} from '../../source/index.ts'
import { parsePosition } from '../../source/database/wal-position.ts'
import { Author } from '../support/entities.ts'
import { serve, type Reply, type Served } from '../support/http.ts'
import { rejection } from '../support/rejection.ts'
import {
  hear,
  readerAndWriterOf,
  sharedCluster,
  type Cluster,
  type Heard,
  type ReplicaEngines,
} from '../support/replicas.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'

interface World {
  cluster: Cluster
  registry: EngineRegistry<ReplicaEngines>
  heard: Heard
  /** After each test. */
  opened: { close(): Promise<void> }[]
}

const test = suite<World>('own writes on replicas')

test.before(async (world) => {
  world.cluster = await sharedCluster()
  world.registry = new EngineRegistry<ReplicaEngines>({
    ...(await readerAndWriterOf(world.cluster)),
    snapshot: (await readerAndWriterOf(world.cluster, { readOnly: 'snapshot' })).reader,
  })
})
test.before.each(async (world) => {
  await world.cluster.level()
  world.heard = hear()
  world.opened = []
})
test.after.each(async ({ heard, opened }) => {
  heard.stop()
  for (const each of opened) await each.close()
})
test.after(async ({ registry, cluster }) => {
  await registry.close()
  await cluster.level()
})

async function serveOver(world: World, options: DbSessionsOptions = {}, keys?: string[]): Promise<Served> {
  const app = new Koa()
  if (keys !== undefined) app.keys = keys
  app.use(dbSessions(world.registry, options))
  app.use(async (ctx: any) => {
    const { writer } = ctx.dbSession
    if (ctx.method === 'POST') {
      const author = writer.create(Author, { name: 'new' })
      await writer.flush()
      ctx.body = { id: author.id }
      return
    }
    const role = ctx.query.role ?? 'reader'
    ctx.body = { found: (await ctx.dbSession[role].findOne(Author, Number(ctx.path.slice(1)))) !== null }
  })
  const served = await serve(app)
  world.opened.push(served)
  return served
}

/** What was there before counts as new, at the first look at the primary. */
async function pauseAll({ cluster, registry }: World): Promise<void> {
  await registry.run(async ({ dbSession }) => {
    await dbSession.reader.count(Author)
    await dbSession.get('snapshot').count(Author)
  })
  for (const standby of cluster.standbys) await standby.pause()
}

function cookieOf({ headers }: Reply): string {
  return headers['set-cookie']?.[0]?.split(';')[0] ?? ''
}

function positionIn(reply: Reply): bigint {
  return parsePosition(/writer:([^,;]+)/.exec(cookieOf(reply))?.[1]) ?? -1n
}

async function store(served: Served): Promise<{ id: number; cookie: string; reply: Reply }> {
  const reply = await served.request('POST', '/')
  assert.is(reply.status, 200)
  return { id: reply.json().id, cookie: cookieOf(reply), reply }
}

async function find(served: Served, id: number, headers: Record<string, string>, role = 'reader'): Promise<boolean> {
  const reply = await served.request('GET', `/${id}?role=${role}`, { headers })
  assert.is(reply.status, 200)
  return reply.json().found
}

for (const role of ['reader', 'snapshot']) {
  test(`the next request with the cookie reads in the role ${role} what was stored, and one without may not`, async (world) => {
    const served = await serveOver(world)
    await pauseAll(world)
    const { id, cookie } = await store(served)
    assert.match(cookie, /^sqlassist_position=writer:[0-9A-F]+\/[0-9A-F]+$/)
    assert.is(await find(served, id, { cookie }, role), true)
    assert.is(await find(served, id, {}, role), false)
    assert.equal(
      world.heard.fallbacks.map((message) => [message.role, message.reason]),
      [[role, 'behind']],
    )
  })
}

test('another process reads it as well, as soon as a replica has it', async (world) => {
  const other: World = { ...world, registry: new EngineRegistry(await readerAndWriterOf(world.cluster)) }
  world.opened.push(other.registry)
  const [one, two] = [await serveOver(world), await serveOver(other)]
  const { id, cookie } = await store(one)
  assert.is(await find(two, id, { cookie }), true)
  await until(async () => {
    world.heard.forget()
    await find(two, id, { cookie })
    return world.heard.servers[0] !== 'primary'
  }, 'a replica to have it')
})

test('a commit in the middle of a request is shown by the reads behind it', async (world) => {
  await pauseAll(world)
  await world.registry.run(async ({ dbSession, tm, txn }) => {
    const author = dbSession.writer.create(Author, { name: 'mid' })
    await dbSession.writer.flush()
    assert.is(await dbSession.reader.findOne(Author, author.id), null)
    await txn.commit()
    await tm.begin()
    assert.is((await dbSession.reader.findOne(Author, author.id))?.name, 'mid')
  })
})

test('the cookie cannot be read where the application has keys, and is read by an old key', async (world) => {
  const before = await serveOver(world, {}, ['old'])
  const after = await serveOver(world, {}, ['new', 'old'])
  await pauseAll(world)
  const { id, cookie, reply } = await store(before)
  assert.not.match(cookie, /:|%3A/)
  assert.is(await find(after, id, { cookie }), true)
  const [attributes = ''] = reply.headers['set-cookie'] ?? []
  assert.match(attributes, /path=\/; expires=.*; samesite=lax; httponly/)
})

test('a header brings it along in place of a cookie', async (world) => {
  const served = await serveOver(world, { readYourWrites: positionHeader('x-position') })
  await pauseAll(world)
  const { id, cookie, reply } = await store(served)
  assert.is(cookie, '')
  const position = String(reply.headers['x-position'])
  assert.is(await find(served, id, { 'x-position': position }), true)
})

test('a store of the program brings it along, for all devices of a user', async (world) => {
  const kept = new Map<string, { position: string; maxAgeMs: number }>()
  const served = await serveOver(world, {
    readYourWrites: {
      read: async (ctx) => kept.get(ctx.get('user'))?.position,
      async write(ctx, position, maxAgeMs) {
        kept.set(ctx.get('user'), { position, maxAgeMs })
      },
    },
  })
  await pauseAll(world)
  const stored = await served.request('POST', '/', { headers: { user: 'ann' } })
  assert.is(kept.get('ann')?.maxAgeMs, 10_000)
  assert.match(kept.get('ann')?.position ?? '', /^writer:/)
  assert.is(await find(served, stored.json().id, { user: 'ann' }), true)
  assert.is(await find(served, stored.json().id, { user: 'bob' }), false)
})

test('where the store cannot be read, the client counts as one that has just written', async (world) => {
  const served = await serveOver(world, {
    readYourWrites: {
      read: () => Promise.reject(new Error('no store')),
      write: () => Promise.reject(new Error('no store')),
    },
  })
  await pauseAll(world)
  const { id } = await store(served)
  assert.is(await find(served, id, {}), true)
})

test('with readYourWrites: false nothing is handed on, and the request itself still sees its commits', async (world) => {
  const served = await serveOver(world, { readYourWrites: false })
  await pauseAll(world)
  const { id, reply } = await store(served)
  assert.is(reply.headers['set-cookie'], undefined)
  assert.is(await find(served, id, {}), false)
})

test('a request that fails behind its commit hands the position on with its error', async (world) => {
  for (const options of [{}, { readYourWrites: positionHeader('x-position') }]) {
    const app = new Koa()
    app.use(dbSessions(world.registry, options))
    app.use(async (ctx: any) => {
      ctx.dbSession.writer.create(Author, { name: 'kept' })
      await ctx.txn.commit()
      ctx.throw(409, 'all the same', { headers: { 'x-reason': 'its own' } })
    })
    const served = await serve(app)
    world.opened.push(served)
    const { status, headers } = await served.request('POST', '/')
    assert.equal([status, headers['x-reason']], [409, 'its own'])
    assert.match(String(headers['set-cookie']?.[0] ?? headers['x-position']), /writer:[0-9A-F]+\/[0-9A-F]+/)
  }
})

test('a position that does not exist hides none of a real commit', async (world) => {
  const served = await serveOver(world)
  await pauseAll(world)
  const reply = await served.request('POST', '/', { headers: { cookie: 'sqlassist_position=writer:FFFFFFFF/0' } })
  assert.is(await find(served, reply.json().id, { cookie: cookieOf(reply) }), true)
})

test('of two requests at once the later answer does not take the position back', async (world) => {
  const committed = Promise.withResolvers<void>()
  const answered = Promise.withResolvers<void>()
  const app = new Koa()
  app.use(dbSessions(world.registry))
  app.use(async (ctx: any) => {
    ctx.dbSession.writer.create(Author, { name: ctx.path })
    await ctx.txn.commit()
    if (ctx.path === '/slow') {
      committed.resolve()
      await answered.promise
    }
    ctx.body = 'stored'
  })
  const served = await serve(app)
  world.opened.push(served)
  const slow = served.request('POST', '/slow')
  await committed.promise
  const fast = positionIn(await served.request('POST', '/fast'))
  answered.resolve()
  assert.ok(positionIn(await slow) >= fast)
})

test('a store that has another word for nothing keeps no read from the replicas', async (world) => {
  const served = await serveOver(world, {
    readYourWrites: { read: async () => JSON.parse('null'), write: () => undefined },
  })
  await world.registry.run(({ dbSession }) => dbSession.reader.count(Author))
  world.heard.forget()
  await find(served, 1, {})
  assert.ok(world.heard.servers.every((server) => server !== 'primary'))
})

test('sessions at another property of ctx have a cookie of their own', async (world) => {
  const served = await serveOver(world)
  const app = new Koa()
  app.use(dbSessions(world.registry, { property: 'other' }))
  app.use((ctx: any) => void ctx.other.writer.create(Author, { name: 'other' }))
  const other = await serve(app)
  world.opened.push(other)
  const [one, two] = [await served.request('POST', '/'), await other.request('POST', '/')]
  assert.match(cookieOf(one), /^sqlassist_position=/)
  assert.match(cookieOf(two), /^sqlassist_position_other=/)
})

test('roles of any name are handed on, as many as there are', async (world) => {
  const { cluster } = world
  const names = ['писатель', 'schreibför', ...Array.from({ length: 10 }, (_, index) => `aVeryLongNameOfARole${index}`)]
  const engines: Record<string, any> = {}
  for (const name of names) {
    engines[name] = (await readerAndWriterOf(cluster)).writer
    engines[`of_${name}`] = (await readerAndWriterOf(cluster, { replicaOf: name })).reader
  }
  const registry = new EngineRegistry(engines, { recover: false })
  world.opened.push(registry)
  const app = new Koa()
  app.use(dbSessions(registry))
  app.use(async (ctx: any) => {
    if (ctx.method === 'POST') {
      for (const name of names) ctx.dbSession[name].create(Author, { name: 'any' })
      await ctx.txn.commit()
      ctx.body = positionOf(ctx.dbSession)
    } else ctx.body = String(await ctx.dbSession['of_писатель'].count(Author))
  })
  const served = await serve(app)
  world.opened.push(served)
  const reply = await served.request('POST', '/')
  assert.is(await registry.run(() => 'run', { after: reply.text }), 'run')
  for (const standby of cluster.standbys) await standby.pause()
  const before = Number((await served.request('GET', '/')).text)
  const stored = await served.request('POST', '/')
  const { text } = await served.request('GET', '/', { headers: { cookie: cookieOf(stored) } })
  assert.is(Number(text), before + names.length)
})

test('a cookie outlives maxLagMs, by clocks that go a little wrong', async (world) => {
  const served = await serveOver(world)
  const { headers } = await served.request('POST', '/')
  const expires = /expires=([^;]+)/.exec(String(headers['set-cookie']?.[0]))?.[1]
  assert.ok(Date.parse(String(expires)) > Date.now() + 10_000)
})

test('a request that only reads sets no cookie', async (world) => {
  const served = await serveOver(world)
  const reply = await served.request('GET', '/1')
  assert.is(reply.headers['set-cookie'], undefined)
})

test('a request that brings one position along and commits in another role hands both on', async (world) => {
  const registry = new EngineRegistry<ReplicaEngines>({
    ...(await readerAndWriterOf(world.cluster)),
    audit: (await readerAndWriterOf(world.cluster)).writer,
    auditor: (await readerAndWriterOf(world.cluster, { replicaOf: 'audit' })).reader,
  })
  world.opened.push(registry)
  const served = await serveOver({ ...world, registry })
  const app = new Koa()
  app.use(dbSessions(registry))
  app.use(async (ctx: any) => {
    ctx.dbSession.audit.create(Author, { name: 'audited' })
    ctx.body = 'stored'
  })
  const audits = await serve(app)
  world.opened.push(audits)
  const { cookie } = await store(served)
  const reply = await audits.request('POST', '/', { headers: { cookie } })
  assert.match(cookieOf(reply), /^sqlassist_position=writer:[^,]+,audit:/)
})

test('a job sees what the request has committed that it comes after', async (world) => {
  await pauseAll(world)
  let after: string | undefined
  let id = 0
  await world.registry.run(async ({ dbSession, txn }) => {
    const author = dbSession.writer.create(Author, { name: 'for a job' })
    await dbSession.writer.flush()
    id = author.id
    assert.is(positionOf(dbSession), undefined)
    txn.addAfterCommitHook(() => void (after = positionOf(dbSession)))
  })
  const look = ({ dbSession }: any): Promise<unknown> => dbSession.reader.findOne(Author, id)
  assert.is((await world.registry.run(look, { after })) !== null, true)
  assert.is(await world.registry.run(look), null)
})

for (const after of ['', 'writer', 'writer:1', 'nobody:0/1', 'writer:0/1,', `writer:0/${'1'.repeat(9)}`, 7, null]) {
  test(`${JSON.stringify(after)} is no position to come after, and nothing is run`, async (world) => {
    let hasRun = false
    const error = await rejection(world.registry.run(() => (hasRun = true), { after: after as string }))
    assert.instance(error, InvalidPositionError)
    assert.is(hasRun, false)
  })
}

test('the next attempt at a request keeps what it was given', async (world) => {
  await pauseAll(world)
  const after = await world.registry.run(async ({ dbSession, tm, txn }) => {
    dbSession.writer.create(Author, { name: 'again' })
    await txn.commit()
    await tm.begin()
    return positionOf(dbSession)
  })
  let attempts = 0
  const found = await world.registry.run(
    async ({ dbSession }) => {
      attempts++
      const authors = await dbSession.reader.find(Author, { name: 'again' })
      if (attempts === 1) throw Object.assign(new Error('deadlock'), { code: '40P01' })
      return authors.length
    },
    { after, attempts: 2 },
  )
  assert.equal([attempts, found], [2, 1])
})

test('any is the role that has changed something, also where another one was opened first', async (world) => {
  await world.registry.run(async ({ dbSession, txn }) => {
    assert.is(dbSession.any, dbSession.reader)
    dbSession.writer.create(Author, { name: 'any' })
    await dbSession.writer.flush()
    assert.is(dbSession.any, dbSession.writer)
    txn.doom()
  })
})

test.run()
