/**
 * Mixed load against one server: `node --expose-gc scripts/soak.ts [seconds] [seed]` (30 seconds, a random seed).
 *
 * 64 clients over pools of 5 read, write, fail, doom, veto, disconnect and stream, on a real PostgreSQL. Afterwards every
 * committed request's rows are looked for from a second connection, and those of every aborted one. Ends with one JSON line
 * (`seconds`, `requests`, `committed`, `aborted`, `breaches`, `heapFirstMiB`, `heapLastMiB`), after what was breached; exits
 * with 1 on any breach: a row missing, doubled or left, a pool not idle, an unhandled rejection, a heap that grows.
 */
import { Agent, request as httpRequest } from 'node:http'
import process from 'node:process'
import { Readable } from 'node:stream'
import type pg from 'pg'
import Koa, { type Context } from 'koa'
import { dbSessions, EngineRegistry } from '../source/index.ts'
import { Author } from '../tests/support/entities.ts'
import { serve } from '../tests/support/http.ts'
import { poolIdle } from '../tests/support/leaks.ts'
import { newDatabase, openOrm } from '../tests/support/orms.ts'
import { secondLook } from '../tests/support/second-look.ts'
import { closeSharedResources } from '../tests/support/shared-resources.ts'

const CLIENTS = 64
const POOL = 5
const ROWS_TO_READ = 2_000
const HEAP_GROWTH_ALLOWED_MIB = 8
const MIB = 1024 * 1024

const seconds = Number(process.argv[2] ?? 30)
const seed = Number(process.argv[3] ?? Math.floor(Math.random() * 2 ** 31))
const collect = globalThis.gc
if (collect === undefined || !(seconds > 0) || !Number.isInteger(seed)) {
  process.stderr.write('usage: node --expose-gc scripts/soak.ts [seconds] [seed, a whole number]\n')
  process.exit(2)
}
process.stderr.write(`seed ${seed}\n`)

/** What a client may ask for, how often, and what is to be stored afterwards. */
const KINDS = [
  { kind: 'read', weight: 6, stored: 0 },
  { kind: 'write', weight: 6, stored: 1 },
  { kind: 'error', weight: 2, stored: 0 },
  { kind: 'doom', weight: 1, stored: 0 },
  { kind: 'veto', weight: 1, stored: 0 },
  { kind: 'disconnect', weight: 2, stored: undefined },
  { kind: 'stream', weight: 1, stored: 0 },
  { kind: 'stream-left', weight: 1, stored: 0 },
] as const
type Kind = (typeof KINDS)[number]

const breaches: string[] = []
const expected = new Map<string, 0 | 1 | undefined>()
let requests = 0
let committed = 0
let aborted = 0
process.on('unhandledRejection', (reason) => breaches.push(`unhandled rejection: ${String(reason)}`))

const target = await newDatabase('postgresql')
const [reader, writer, logger] = [
  await openOrm(target, { poolMax: POOL }),
  await openOrm(target, { poolMax: POOL }),
  await openOrm(await newDatabase('postgresql'), { poolMax: POOL }),
]
const look = await secondLook(target)
await look.rows(`insert into author (name) select 'read ' || n from generate_series(1, ${ROWS_TO_READ}) n`)
const registry = new EngineRegistry({
  reader: { orm: reader, readOnly: true },
  writer,
  logger: { orm: logger, commit: 'autonomous' },
})

const app = new Koa()
app.use(dbSessions(registry))
app.use((ctx) => handle(ctx))
const served = await serve(app)
const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS })

const heap: number[] = []
const end = performance.now() + seconds * 1000
const sampling = setInterval(
  () => {
    ;(served.exchanges as unknown[]).length = 0
    served.errors.length = 0
    collect()
    heap.push(process.memoryUsage().heapUsed / MIB)
  },
  (seconds * 1000) / 30,
)
await Promise.all(Array.from({ length: CLIENTS }, (_, client) => play(client, random(seed + client))))
clearInterval(sampling)

agent.destroy()
await served.close()
for (const orm of [reader, writer, logger]) {
  await poolIdle((await orm.em.getConnection().getNativeClient()) as unknown as pg.Pool).catch((error: Error) =>
    breaches.push(error.message),
  )
}
await compare()
await look.close()
await registry.close()
await closeSharedResources()

const third = Math.floor(heap.length / 3)
const [heapFirstMiB, heapLastMiB] = [median(heap.slice(0, third)), median(heap.slice(-third))]
if (heapLastMiB - heapFirstMiB > HEAP_GROWTH_ALLOWED_MIB)
  breaches.push(`the heap grew by ${heapLastMiB - heapFirstMiB} MiB`)
for (const breach of breaches) process.stdout.write(`${breach}\n`)
const figures = { seconds, requests, committed, aborted, breaches: breaches.length, heapFirstMiB, heapLastMiB }
process.stdout.write(`${JSON.stringify(figures)}\n`)
process.exit(breaches.length > 0 ? 1 : 0)

async function handle(ctx: Context): Promise<void> {
  const [, kind, id] = ctx.path.split('/')
  const em: any = ctx.dbSession.writer
  if (kind === 'read') {
    ctx.body = String(await ctx.dbSession.reader.count(Author))
    return
  }
  if (kind === 'stream' || kind === 'stream-left') {
    ctx.body = Readable.from(names(ctx.dbSession.reader))
    return
  }
  em.persist(em.create(Author, { name: id }))
  if (Math.random() < 0.5) await em.flush()
  ctx.dbSession.logger.persist(ctx.dbSession.logger.create(Author, { name: id }))
  if (kind === 'error') throw new Error('as asked for')
  if (kind === 'doom') ctx.txn.doom()
  if (kind === 'disconnect') await em.execute('select pg_sleep(0.01)')
  ctx.status = kind === 'veto' ? 503 : 201
}

async function* names(em: any): AsyncGenerator<string> {
  for await (const { name } of em.stream(Author, { where: { name: { $like: 'read %' } } })) yield `${name}\n`
}

async function play(client: number, next: () => number): Promise<void> {
  for (let count = 0; performance.now() < end; count++) {
    const choice = pick(next())
    const id = `${client}-${count}`
    requests++
    const status = await ask(choice, id, next())
    if (status === 201 && choice.kind !== 'doom') committed++
    else if (choice.stored === 0 && !['read', 'stream', 'stream-left'].includes(choice.kind)) aborted++
    const { kind, stored } = choice
    if (kind === 'write' && status !== 201) breaches.push(`${id}: a write was answered with ${status}`)
    if (kind !== 'read' && !kind.startsWith('stream'))
      expected.set(id, kind === 'disconnect' && status === 201 ? 1 : stored)
  }
}

/** The status; undefined when the client went away first. */
function ask({ kind }: Kind, id: string, patience: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const sent = httpRequest({ host: '127.0.0.1', port: served.port, path: `/${kind}/${id}`, method: 'POST', agent })
    sent.on('error', () => resolve(undefined))
    sent.on('response', (message) => {
      message.on('error', () => resolve(undefined))
      message.on('close', () => resolve(message.statusCode))
      if (kind === 'stream-left') message.once('data', () => message.destroy())
      else message.resume()
    })
    sent.end()
    if (kind === 'disconnect') setTimeout(() => sent.destroy(), patience * 30)
  })
}

/** Every id is stored as often as it is to be. */
async function compare(): Promise<void> {
  const rows = await look.rows(
    `select name, count(*)::int as count from author where name not like 'read %' group by name`,
  )
  const stored = new Map(rows.map(({ name, count }) => [String(name), Number(count)]))
  for (const [id, count] of expected) {
    const found = stored.get(id) ?? 0
    if (count === undefined ? found > 1 : found !== count)
      breaches.push(`${id}: ${found} rows instead of ${count ?? '0 or 1'}`)
  }
}

function pick(share: number): Kind {
  let left = share * KINDS.reduce((sum, { weight }) => sum + weight, 0)
  return KINDS.find(({ weight }) => (left -= weight) < 0) ?? KINDS[0]
}

/** A small generator of random numbers that can be repeated (mulberry32). */
function random(state: number): () => number {
  let current = state
  return () => {
    current = (current + 0x6d2b79f5) | 0
    let mixed = Math.imul(current ^ (current >>> 15), 1 | current)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return Number((sorted[Math.floor(sorted.length / 2)] ?? 0).toFixed(1))
}
