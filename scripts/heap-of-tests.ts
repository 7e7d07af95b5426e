/**
 * Whether anything of a test in a sandbox survives it: `node --expose-gc scripts/heap-of-tests.ts [tests]`.
 *
 * Runs the tests (default 1,000) one after the other on each database, each with requests that store, fail and read, and
 * measures the heap after a collection. Prints one JSON line for each database, and exits with 1 when the heap grew by more than
 * 1 MiB from the third tenth to the last one, or a row was left. V8's own code takes some 500 KiB of that: of 4,000 tests the
 * second half adds nothing.
 */
import process from 'node:process'
import { createSandbox } from '../source/testing/index.ts'
import { newDatabase, type Dialect } from '../tests/support/orms.ts'
import { secondLook } from '../tests/support/second-look.ts'
import { closeSharedResources } from '../tests/support/shared-resources.ts'
import { openTestedApp } from '../tests/testing/tested-app.ts'
import { median } from './bench/median.ts'

const KIB = 1024
const GROWTH_ALLOWED_KIB = 1024

const tests = Number(process.argv[2] ?? 1000)
const collect = globalThis.gc
if (collect === undefined || !Number.isInteger(tests) || tests < 100) {
  process.stderr.write('usage: node --expose-gc scripts/heap-of-tests.ts [tests, at least 100]\n')
  process.exit(2)
}

for (const dialect of ['sqlite', 'postgresql'] as const) {
  const { left, heap } = await runOn(dialect)
  const samples = Math.floor(heap.length / 10)
  const [early, late] = [heap.slice(2 * samples, 3 * samples), heap.slice(-samples)].map(median)
  const grownKiB = Math.round(late! - early!)
  process.stdout.write(`${JSON.stringify({ dialect, tests, heapKiB: Math.round(late!), grownKiB, rowsLeft: left })}\n`)
  if (grownKiB > GROWTH_ALLOWED_KIB || left > 0) process.exitCode = 1
}
await closeSharedResources()

async function runOn(dialect: Dialect): Promise<{ left: number; heap: number[] }> {
  const target = await newDatabase(dialect)
  const app = await openTestedApp(target)
  const look = await secondLook(target)
  const sandbox = await createSandbox(app.registry)
  const heap: number[] = []
  let left = 0
  for (let test = 1; test <= tests; test++) {
    await sandbox.begin()
    await (test % 4 === 0 ? Promise.all([app.post(), app.fail(), app.post()]) : app.post())
    const found = await app.get()
    if (found !== (test % 4 === 0 ? 2 : 1)) throw new Error(`test ${test} finds ${found} rows`)
    await sandbox.rollback()
    left = Math.max(left, Number(await look.value('select count(*) from tag')))
    if (test % Math.ceil(tests / 50) > 0) continue
    collect?.()
    heap.push(process.memoryUsage().heapUsed / KIB)
  }
  await sandbox.close()
  await app.close()
  await look.close()
  return { left, heap }
}
