/**
 * Atomic commits through PgBouncer in transaction mode, where each transaction, and each statement outside of one, may run
 * on another connection to the server: `node scripts/pgbouncer.ts [--units N]`. Needs `pgbouncer` (Debian's package).
 *
 * Two PostgreSQL databases are reached by way of PgBouncer with few connections to each, and PgBouncer reaches them by way
 * of recording proxies, which also cut. The last line is JSON; the exit code is 1 when anything was wrong.
 */
import { execFileSync } from 'node:child_process'
import process from 'node:process'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { EngineRegistry } from '../source/index.ts'
import { startEmbeddedPostgres } from '../tests/support/embedded-postgres.ts'
import { Author } from '../tests/support/entities.ts'
import { openOrm } from '../tests/support/orms.ts'
import { usePostgres } from '../tests/support/postgres.ts'
import { secondLook } from '../tests/support/second-look.ts'
import { closeSharedResources } from '../tests/support/shared-resources.ts'
import { openWire, type Wire } from '../tests/support/wire.ts'
import { freePort } from '../tests/support/free-port.ts'
import { startBouncer } from './bouncer.ts'

const SERVER_CONNECTIONS = 3
const AT_ONCE = 12
const { values } = parseArgs({ options: { units: { type: 'string', default: '300' } } })
const units = Number(values.units)

const version = execFileSync('pgbouncer', ['--version'], { encoding: 'utf8' }).split('\n', 1)[0]
const embedded = await startEmbeddedPostgres()
const server = await usePostgres(embedded.url)
const targets = { writer: await server.createDatabase('writer'), other: await server.createDatabase('other') }
const wires = { writer: await openWire(targets.writer), other: await openWire(targets.other) }
const looks = { writer: await secondLook(targets.writer), other: await secondLook(targets.other) }
const port = await freePort()
const stopBouncer = await startBouncer({
  port,
  databases: Object.fromEntries(
    Object.values(wires).map((wire) => {
      const { port: serverPort, pathname } = new URL(wire.url)
      return [pathname.slice(1), Number(serverPort)]
    }),
  ),
  poolSize: SERVER_CONNECTIONS,
})

/** MikroORM looks for the name of the database it connects to, so it keeps its own. */
const through = (role: 'writer' | 'other') => {
  const url = new URL(targets[role])
  url.port = String(port)
  return url.href
}
// The schema is updated past PgBouncer.
for (const target of Object.values(targets)) await (await openOrm(target)).close()
const orms = {
  writer: await openOrm(through('writer'), { poolMax: AT_ONCE }),
  other: await openOrm(through('other'), { poolMax: AT_ONCE }),
}
const registry = new EngineRegistry(orms, { recover: false })
const wrong: string[] = []
const check = (right: boolean, what: string): void => {
  process.stdout.write(`${right ? 'ok   ' : 'WRONG'} ${what}\n`)
  if (!right) wrong.push(what)
}

await add('first')
for (const wire of Object.values(wires)) wire.reset()
let succeeded = 0
const queue = Array.from({ length: units }, (_, index) => `unit ${index}`)
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
      await add(name)
      succeeded += 1
    }
  }),
)
check((await count('writer', 'unit %')) === units, `all ${units} units are in the database that decides`)
check((await count('other', 'unit %')) === units, `all ${units} units are in the database that is prepared`)
const moved = movedBetweenConnections(wires.other)
check(moved > 0, `${moved} of ${units} were finished over another server connection than prepared`)
check((await prepared()) === 0, 'nothing stays prepared')

await faulty('PREPARE is lost', wires.other, /prepare transaction/, 'before', false)
await faulty('the answer to PREPARE is lost', wires.other, /prepare transaction/, 'after', false)
await faulty('the decision is lost', wires.writer, /insert into public\.sqlassist_decision/, 'before', false)
await faulty(
  'the answer to the decision is lost',
  wires.writer,
  /insert into public\.sqlassist_decision/,
  'after',
  true,
)
await faulty('COMMIT PREPARED is lost', wires.other, /^commit prepared/, 'before', true)
await faulty('the answer to COMMIT PREPARED is lost', wires.other, /^commit prepared/, 'after', true)

await cancelled()

const name = await looks.writer.value(`select decision from sqlassist_decision where id = 'database'`)
for (const [index, decision] of ['commit', 'none'].entries()) {
  const id = `sqlassist:app:writer:${String(name)}:${String(index).padStart(22, '0')}`
  await looks.other.rows('begin')
  await looks.other.rows(`insert into author (name) values ('left, ${decision}')`)
  await looks.other.rows(`prepare transaction '${id}:other'`)
  if (decision === 'commit') {
    await looks.writer.rows(`insert into sqlassist_decision (id, decision) values ('${id}', 'commit')`)
  }
}
const report = await registry.recover({ graceMs: 0 })
check(report.committed.length === 1 && report.rolledBack.length === 1, 'recovery commits what was decided, and no more')
check(report.left.length === 0 && (await prepared()) === 0, 'recovery leaves nothing')
check((await count('other', 'left, commit')) === 1 && (await count('other', 'left, none')) === 0, 'as was decided')
const finalReport = await registry.recover({ graceMs: 0 })
check(finalReport.left.length === 0, 'and then there is nothing to do')

await registry.close()
for (const look of Object.values(looks)) await look.close()
await stopBouncer()
for (const wire of Object.values(wires)) await wire.close()
await closeSharedResources()
await server.close()
await embedded.stop()
process.stdout.write(
  `${JSON.stringify({ version, poolMode: 'transaction', units, succeeded, finishedElsewhere: moved, wrong: wrong.length })}\n`,
)
process.exit(wrong.length > 0 ? 1 : 0)

async function add(author: string): Promise<void> {
  await registry.run(async ({ dbSession }: any) => {
    await dbSession.writer.insert(Author, { name: author })
    await dbSession.other.insert(Author, { name: author })
  })
}

/** One unit with one fault between PgBouncer and the server; afterwards recovery, if anything is left. */
async function faulty(what: string, wire: Wire, at: RegExp, when: 'before' | 'after', commits: boolean): Promise<void> {
  wire.cut(at, when)
  const error = await add(what).catch((thrown: unknown) => thrown)
  if ((await prepared()) > 0) await registry.recover({ graceMs: 0 })
  const [decided, finished] = [await count('writer', what), await count('other', what)]
  check(
    decided === finished,
    `${what}: in both or in none (${error === undefined ? 'committed' : (error as Error).message})`,
  )
  check(
    (decided === 1) === commits && (error === undefined) === commits,
    `${what}: ${commits ? 'committed' : 'aborted'}`,
  )
  check((await prepared()) === 0, `${what}: nothing stays prepared`)
}

/** Gives up a statement that runs, beside another that goes on. */
async function cancelled(): Promise<void> {
  const asleep = `select 1 from pg_stat_activity where state = 'active' and wait_event = 'PgSleep'`
  const giveUp = new AbortController()
  const other = registry.run(({ dbSession }: any) => dbSession.writer.execute('select pg_sleep(3)'))
  const run = registry.run(({ dbSession }: any) => dbSession.writer.execute('select pg_sleep(300)'), {
    signal: giveUp.signal,
  })
  const ended = run.catch((thrown: unknown) => thrown)
  while ((await looks.writer.rows(asleep)).length < 2) await pause(25)
  giveUp.abort(new Error('given up'))
  check((await ended) === giveUp.signal.reason, 'a statement that is given up ends')
  check((await other.then(() => true)) && (await looks.writer.rows(asleep)).length === 0, 'it alone was cancelled')
}

async function count(role: 'writer' | 'other', like: string): Promise<number> {
  return Number(await looks[role].value('select count(*) from author where name like $1', like))
}

async function prepared(): Promise<number> {
  return Number(await looks.writer.value('select count(*) from pg_prepared_xacts'))
}

function movedBetweenConnections(wire: Wire): number {
  const preparedOn = new Map<string, number>()
  let others = 0
  for (const { sql, connection } of wire.statements()) {
    const [, verb = '', gid = ''] = /^(prepare transaction|commit prepared) '([^']+)'/.exec(sql) ?? []
    if (verb === 'prepare transaction') preparedOn.set(gid, connection)
    else if (verb !== '' && preparedOn.get(gid) !== connection) others += 1
  }
  return others
}
