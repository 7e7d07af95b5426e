/** That the benchmark measures what it says: waits are counted one by one, and a server that does something else is refused. */
import type { AssertionError } from 'node:assert/strict'
import * as assert from 'uvu/assert'
import { Comparison } from '../../scripts/bench/compare.ts'
import { Asked } from '../../scripts/bench/questions.ts'
import { readOptions } from '../../scripts/bench/options.ts'
import { countWaits, shown, type Trips } from '../../scripts/bench/round-trips.ts'
import { setStage, type Stage } from '../../scripts/bench/stage.ts'
import { request, verify } from '../../scripts/bench/verify.ts'
import type { Work } from '../../scripts/bench/works.ts'
import { rejection } from '../support/rejection.ts'
import { suite } from '../support/suite.ts'

const test = suite('benchmark')
const ODD = '../../../tests/bench/programs/odd-server'

let stage: Stage
const servers: Asked[] = []
test.before(async () => {
  stage = await setStage('off')
})
test.after.each(async () => {
  for (const server of servers.splice(0)) await server.stop()
})
test.after(async () => await stage.close())

async function open(module: string, targets: Stage['places']['postgresql']['targets']) {
  const server = new Asked('./server.ts', module)
  servers.push(server)
  return { server, port: await server.ask<number>('open', { module, targets, options: {} }) }
}

async function waitsOf(module: string, work: Work): Promise<Trips> {
  const { server, port } = await open(module, await stage.stepped())
  return await countWaits(server, stage.proxy, () => request(port, work, '1'))
}

/** How many rows it finds, and how many there should be. */
async function rowsFound(work: Work): Promise<unknown> {
  const { targets, looks } = stage.places.postgresql
  const { port } = await open(ODD, targets)
  const { actual, expected } = (await rejection(verify(port, work, looks, `odd-${work}`))) as AssertionError
  return { actual, expected }
}

test('a request waits for each answer that it cannot go on without', async () => {
  const { waits, unwaited } = await waitsOf('pg', 'read-write')
  assert.equal(
    waits.map((sql) => sql.map(shown)),
    [['begin'], ['select'], ['update'], ['commit']],
  )
  assert.equal(unwaited, [])
})

test('answers that come over several connections at once are one wait', async () => {
  const { waits } = await waitsOf(ODD, 'read')
  assert.equal(
    waits.map((sql) => sql.toSorted()),
    [['select 1', 'select 2']],
  )
})

test('what is on its way when the response goes out was not waited for', async () => {
  assert.equal(await waitsOf(ODD, 'read-in-transaction'), { waits: [['begin; select 1']], unwaited: ['rollback'] })
})

test('requests of one kind that do not wait alike are an error', async () => {
  const { message } = await rejection(waitsOf(ODD, 'read-write'))
  assert.match(message, 'two requests differ in what they wait for')
})

test('a server that stores a row twice is not measured', async () => {
  assert.equal(await rowsFound('write'), { actual: [2, 0], expected: [1, 0] })
})

test('a server that leaves the row of a failed request is not measured', async () => {
  assert.equal(await rowsFound('fail'), { actual: [1, 0], expected: [0, 0] })
})

test('servers take turns, and each figure is there beside that by hand', async () => {
  const args =
    '--servers by-hand,pg --works write --databases postgresql --delays 2 --seconds 0.05 --rounds 2 --connections 2'
  let printed = ''
  const comparison = new Comparison(stage, readOptions(args.split(' ')), (text) => (printed += text))
  const { results, delays } = await comparison.run()
  assert.equal(
    results.map(({ server, delayMs, waits }) => ({ server, delayMs, waits })),
    [
      { server: 'by-hand', delayMs: 2, waits: 3 },
      { server: 'pg', delayMs: 2, waits: 3 },
    ],
  )
  for (const { server, requestsPerSecond, cpuMicros, p99Ms, ratio, cpuRatio } of results) {
    for (const figure of [requestsPerSecond, cpuMicros, p99Ms, ratio!, cpuRatio!]) assert.ok(figure > 0, printed)
    if (server === 'by-hand') assert.equal([ratio, cpuRatio], [1, 1])
  }
  assert.equal(
    delays.map(({ delayMs }) => delayMs),
    [2],
  )
})

test.run()
