/**
 * Reads from replicas while these are paused, killed, frozen, promoted and restarted into their past:
 * `node scripts/replicas.ts [--reads N] [--seed S] [--pgbouncer]` (100,000 reads). With `--pgbouncer`, which needs Debian's
 * package, the reader reaches the replicas by way of PgBouncer in transaction mode.
 *
 * Two processes share a primary and two standbys. What one of them stores for a user, the other reads with the position that came
 * of it. No read may show less, nor a state older than maxLagMs, nor end in an error. Ends with one JSON line; exits with 1 where
 * one did.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startEmbeddedPostgres } from '../tests/support/embedded-postgres.ts'
import { freePort } from '../tests/support/free-port.ts'
import { secondLook } from '../tests/support/second-look.ts'
import { startStandby, type Standby } from '../tests/support/standby.ts'
import { startBouncer } from './bouncer.ts'
import { seededRandom } from './crash/random.ts'
import { startChaos } from './replicas/chaos.ts'
import type { Answer, Order, Places, Report } from './replicas/messages.ts'

const { values } = parseArgs({
  options: {
    reads: { type: 'string', default: '100000' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    pgbouncer: { type: 'boolean', default: false },
  },
})
const wanted = Number(values.reads)
const seed = Number(values.seed)
if (!Number.isInteger(wanted) || !Number.isInteger(seed)) {
  process.stderr.write('usage: node scripts/replicas.ts [--reads N] [--seed S] [--pgbouncer]\n')
  process.exit(2)
}
process.stderr.write(`seed ${seed}\n`)

const USERS = 16
/** Where little is written out, a crash goes far into the past. */
const LAZY = { bgwriter_lru_maxpages: '0', max_wal_size: '4GB', max_standby_streaming_delay: '200ms' }
const from = performance.now()
const primary = await startEmbeddedPostgres({ max_connections: '100', autovacuum: 'off', max_wal_size: '4GB' })
const look = await secondLook(primary.url)
await look.rows('create table counters (id int primary key, value int)')
await look.rows(`insert into counters select n, 0 from generate_series(1, ${USERS}) n`)
await look.rows('create table totals as select 0::bigint as total')
const standbys: Standby[] = [await startStandby(primary.url, LAZY), await startStandby(primary.url, LAZY)]
for (const standby of standbys) await standby.caughtUp()

const { places, stopBouncer } = await reach()
const workers = [startWorker(), startWorker()]
let reads = 0
let writes = 0
const failedWrites: string[] = []
const over = Promise.withResolvers<void>()
for (const [index, worker] of workers.entries()) {
  const other = workers[1 - index] as ChildProcess
  worker.on('message', (answer: Answer) => take(answer, worker, other))
}
await Promise.all(workers.map((worker) => once(worker, 'message')))
const chaos = startChaos(standbys, (port) => startStandby(primary.url, LAZY, port), seededRandom(seed))
for (let user = 1; user <= USERS; user++) order(workers[user % 2] as ChildProcess, { do: 'write', user })
await over.promise
await chaos.stop()
const reports = await Promise.all(workers.map(reportOf))
for (const worker of workers) worker.disconnect()
await stopBouncer()
for (const standby of standbys) await standby.stop()
await look.close()
await primary.stop()

const sum = (of: (report: Report) => number): number => reports.reduce((total, report) => total + of(report), 0)
const result = {
  seed,
  reads: sum((report) => report.reads),
  stale: sum((report) => report.stale),
  old: sum((report) => report.old),
  errors: reports.map(({ errors }) => errors),
  served: { replicas: sum(({ served }) => served.replicas), primary: sum(({ served }) => served.primary) },
  moved: sum((report) => report.moved),
  fallbacks: reports.map(({ fallbacks }) => fallbacks),
  slowestMs: Math.max(...reports.map(({ slowestMs }) => slowestMs)),
  writes,
  failedWrites: failedWrites.length,
  harm: chaos.done,
  pgbouncer: values.pgbouncer,
  seconds: Math.round((performance.now() - from) / 1000),
}
for (const error of new Set(failedWrites)) process.stderr.write(`a write failed: ${error}\n`)
process.stdout.write(`${JSON.stringify(result)}\n`)
const hasErrors = reports.some(({ errors }) => Object.keys(errors).length > 0)
process.exit(result.stale > 0 || result.old > 0 || hasErrors || failedWrites.length > 0 ? 1 : 0)

/** Each user is written for by one process, and read for by the other; then they change places. */
function take(answer: Answer, worker: ChildProcess, other: ChildProcess): void {
  if (answer.did === 'write') {
    writes++
    const { user, value, after } = answer
    order(other, { do: 'read', user, value, after })
  } else if (answer.did === 'failed write') {
    failedWrites.push(answer.error)
    order(worker, { do: 'write', user: answer.user })
  } else if (answer.did === 'read') {
    reads += answer.reads
    if (reads >= wanted) over.resolve()
    else order(worker, { do: 'write', user: answer.user })
  }
}

function order(worker: ChildProcess, what: Order): void {
  worker.send(what)
}

async function reportOf(worker: ChildProcess): Promise<Report> {
  const { promise, resolve } = Promise.withResolvers<Report>()
  worker.on('message', (answer: Answer) => answer.did === 'report' && resolve(answer.report))
  order(worker, { do: 'report' })
  return await promise
}

function startWorker(): ChildProcess {
  return fork(fileURLToPath(new URL('replicas/worker.ts', import.meta.url)), {
    env: { ...process.env, PLACES: JSON.stringify(places) },
  })
}

async function reach(): Promise<{ places: Places; stopBouncer: () => Promise<void> }> {
  const at = (port: number, database = 'postgres'): string =>
    `postgres://postgres:password@127.0.0.1:${port}/${database}`
  const direct = { primary: primary.url, reader: primary.url, replicas: standbys.map(({ port }) => at(port)) }
  if (!values.pgbouncer) return { places: direct, stopBouncer: async () => undefined }
  const ports = [await freePort(), await freePort()]
  const stops = await Promise.all(
    ports.map((port, index) =>
      startBouncer({ port, databases: { postgres: standbys[index]?.port ?? 0 }, poolSize: 5 }),
    ),
  )
  return {
    places: { ...direct, replicas: ports.map((port) => at(port)) },
    stopBouncer: async () => {
      for (const stop of stops) await stop()
    },
  }
}
