/**
 * Whether anything of a request survives it: `node --expose-gc scripts/heap.ts [requests]`.
 *
 * Runs the requests (default 20,000) one after the other, each with entities loaded, created and flushed in a session on
 * SQLite, and measures the heap after a collection in the first and the last third. Prints one JSON line, and exits with 1
 * when the heap grew by more than 2 MiB.
 */
import process from 'node:process'
import Koa from 'koa'
import { dbSessions } from '../source/index.ts'
import { Author } from '../tests/support/entities.ts'
import { newDatabase, openOrm } from '../tests/support/orms.ts'
import { closeSharedResources } from '../tests/support/shared-resources.ts'
import { serve } from '../tests/support/http.ts'

const MIB = 1024 * 1024
const GROWTH_ALLOWED_MIB = 2

const requests = Number(process.argv[2] ?? 20_000)
const collect = globalThis.gc
if (collect === undefined || !Number.isInteger(requests) || requests < 3) {
  process.stderr.write('usage: node --expose-gc scripts/heap.ts [requests, at least 3]\n')
  process.exit(2)
}

const writer = await openOrm(await newDatabase('sqlite'))
const app = new Koa()
app.use(dbSessions({ writer }))
app.use(async (ctx) => {
  const em = ctx.dbSession.writer
  const authors = await em.find(Author, {}, { limit: 20 })
  const [first] = authors
  if (first === undefined || authors.length < 20) em.persist(em.create(Author, { name: ctx.path }))
  else em.assign(first, { name: ctx.path })
  ctx.body = String(authors.length)
})
const served = await serve(app)

const heap: number[] = []
for (let request = 1; request <= requests; request++) {
  const { status } = await served.request('GET', `/${request}`)
  if (status !== 200) throw served.errors.at(-1) ?? new Error(`status ${status}`)
  ;(served.exchanges as unknown[]).length = 0
  if (request % Math.ceil(requests / 30) === 0) {
    collect()
    heap.push(process.memoryUsage().heapUsed / MIB)
  }
}
await served.close()
await writer.close()
await closeSharedResources()

const third = Math.floor(heap.length / 3)
const heapFirstMiB = median(heap.slice(0, third))
const heapLastMiB = median(heap.slice(-third))
process.stdout.write(`${JSON.stringify({ requests, heapFirstMiB, heapLastMiB })}\n`)
process.exit(heapLastMiB - heapFirstMiB > GROWTH_ALLOWED_MIB ? 1 : 0)

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return Number((sorted[Math.floor(sorted.length / 2)] ?? 0).toFixed(2))
}
