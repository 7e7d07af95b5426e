/**
 * What an atomic commit over two PostgreSQL databases costs beside a commit of one, and beside two commits that nothing
 * holds together: `node scripts/bench/atomic.ts [--units N] [--delay MS] [--fsync on|off]`.
 *
 * All kinds take turns in one run, on the same databases. The last line is JSON: milliseconds (medians) and their ratios.
 */
import process from 'node:process'
import { parseArgs } from 'node:util'
import { EngineRegistry } from '../../source/index.ts'
import { Author } from '../../tests/support/entities.ts'
import { startEmbeddedPostgres } from '../../tests/support/embedded-postgres.ts'
import { openOrm, type TestOrm } from '../../tests/support/orms.ts'
import { usePostgres } from '../../tests/support/postgres.ts'
import { sqliteFile } from '../../tests/support/sqlite.ts'
import { closeSharedResources } from '../../tests/support/shared-resources.ts'
import { openWire, type Wire } from '../../tests/support/wire.ts'

const { values } = parseArgs({
  options: {
    units: { type: 'string', default: '300' },
    delay: { type: 'string', default: '0' },
    fsync: { type: 'string', default: 'on' },
  },
})
const [units, delayMs] = [Number(values.units), Number(values.delay)]
if (!Number.isInteger(units) || units < 1 || !(delayMs >= 0) || !['on', 'off'].includes(values.fsync)) {
  process.stderr.write('usage: node scripts/bench/atomic.ts [--units N] [--delay MS] [--fsync on|off]\n')
  process.exit(2)
}

const embedded = await startEmbeddedPostgres({ fsync: values.fsync })
const server = await usePostgres(embedded.url)
// A proxy costs time, so there is one only for a delay.
const wires: Wire[] = []
const open = async (target: string): Promise<TestOrm> => {
  if (delayMs === 0) return await openOrm(target)
  const wire = await openWire(target)
  wires.push(wire)
  const orm = await openOrm(target, { via: wire.url })
  wire.delay({ toServer: delayMs / 2, toClient: delayMs / 2 })
  return orm
}
const [first, second] = [await server.createDatabase('first'), await server.createDatabase('second')]
const orms = { writer: await open(first), other: await open(second), file: await openOrm(sqliteFile('bench')) }
const atomic = new EngineRegistry(orms as any, { recover: false })
const plain = new EngineRegistry({ writer: await open(first), other: await open(second) } as any, {
  disableTransaction: true,
})

const add = (registry: EngineRegistry<any>, roles: readonly string[]) => () =>
  registry.run(async ({ dbSession }: any) => {
    for (const role of roles) await dbSession[role].insert(Author, { name: 'bench' })
  })
const kinds = {
  'one database': add(atomic, ['writer']),
  'two databases, atomic': add(atomic, ['writer', 'other']),
  'two databases, two commits that nothing holds together': add(plain, ['writer', 'other']),
  'PostgreSQL and SQLite, atomic': add(atomic, ['writer', 'file']),
}

const times = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, [] as number[]]))
const warmUp = Math.min(50, units)
for (let unit = -warmUp; unit < units; unit++) {
  for (const [kind, work] of Object.entries(kinds)) {
    const from = performance.now()
    await work()
    if (unit >= 0) times[kind]?.push(performance.now() - from)
  }
}

const median = Object.fromEntries(Object.entries(times).map(([kind, each]) => [kind, middle(each)]))
for (const [kind, ms] of Object.entries(median)) process.stdout.write(`${ms.toFixed(2).padStart(8)} ms  ${kind}\n`)
const [one = 1, both = 1, apart = 1, mixed = 1] = Object.values(median)
const round = (value: number): number => Math.round(value * 100) / 100
const result = {
  units,
  delayMs,
  fsync: values.fsync,
  medianMs: { one: round(one), atomic: round(both), apart: round(apart), withSqlite: round(mixed) },
  atomicToOne: round(both / one),
  atomicToApart: round(both / apart),
  withSqliteToOne: round(mixed / one),
}

await atomic.close()
await plain.close()
for (const wire of wires) await wire.close()
await closeSharedResources()
await server.close()
await embedded.stop()
process.stdout.write(`${JSON.stringify(result)}\n`)

function middle(numbers: readonly number[]): number {
  return numbers.toSorted((left, right) => left - right)[Math.floor(numbers.length / 2)] ?? 0
}
