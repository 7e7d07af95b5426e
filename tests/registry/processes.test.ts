import * as assert from 'uvu/assert'
import { fork, type ChildProcess } from 'node:child_process'
import cluster from 'node:cluster'
import { once } from 'node:events'
import { request } from 'node:http'
import { join } from 'node:path'
import { newDatabase, openOrm } from '../support/orms.ts'
import { postgres } from '../support/postgres.ts'
import { secondLook, type SecondLook } from '../support/second-look.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'

const PROGRAM = join(import.meta.dirname, 'programs/server.ts')

interface World {
  target: string
  look: SecondLook
}

const test = suite<World>('processes')

test.before.each(async (world) => {
  world.target = await newDatabase('postgresql')
  await (await openOrm(world.target)).close()
  world.look = await secondLook(world.target)
})
test.after.each(async ({ look }) => {
  await look.close()
})

async function portOf(child: Pick<ChildProcess, 'once'>): Promise<number> {
  const [{ port }] = (await once(child as ChildProcess, 'message')) as [{ port: number }]
  return port
}

/** The status and the body; undefined when there was no answer. */
function post(port: number, path: string): Promise<{ status: number; text: string } | undefined> {
  return new Promise((resolve) => {
    const sent = request({ host: '127.0.0.1', port, path, method: 'POST', agent: false }, (message) => {
      let text = ''
      message.on('data', (chunk: Buffer) => (text += chunk.toString()))
      message.on('end', () => resolve({ status: message.statusCode ?? 0, text }))
    })
    sent.on('error', () => resolve(undefined))
    sent.end()
  })
}

async function connections(target: string): Promise<number> {
  const { adminQuery } = await postgres()
  const database = new URL(target).pathname.slice(1)
  const rows = await adminQuery(
    `select 1 from pg_stat_activity where datname = $1 and application_name <> 'second look'`,
    [database],
  )
  return rows.length
}

test('SIGTERM under load: what is under way is committed, the process ends by itself with 0, no connection is left', async ({
  target,
  look,
}) => {
  const child = fork(PROGRAM, [target])
  const port = await portOf(child)
  const ended = once(child, 'exit')
  let sent = 0
  const replies: Promise<[string, Awaited<ReturnType<typeof post>>]>[] = []
  const client = async (number: number): Promise<void> => {
    for (;;) {
      const path = `/${number}-${sent++}`
      const reply = post(port, path).then((answer): [string, typeof answer] => [path.slice(1), answer])
      replies.push(reply)
      if ((await reply)[1]?.status !== 201) return
    }
  }
  const clients = Array.from({ length: 16 }, (_, number) => client(number))
  await until(() => sent > 100, 'some load')
  child.kill('SIGTERM')
  await Promise.all(clients)
  const [code, signal] = await ended
  assert.equal([code, signal], [0, null])
  await until(async () => (await connections(target)) === 0, 'no connection to be left')
  const answered = await Promise.all(replies)
  const stored = new Set((await look.rows('select name from author')).map(({ name }) => name))
  for (const [name, reply] of answered) {
    if (reply?.status === 201) assert.ok(stored.has(name), `${name} was answered and is not there`)
    if (reply !== undefined && reply.status !== 201) assert.is(reply.status, 503)
  }
  assert.is(await look.value('select count(*) - count(distinct name) from author'), 0)
})

test('cluster workers have pools of their own, and reinit gives a worker a fresh one', async ({ target, look }) => {
  cluster.setupPrimary({ exec: PROGRAM, args: [target, 'reinit'] })
  const workers = [cluster.fork(), cluster.fork()]
  const ports = await Promise.all(workers.map((worker) => portOf(worker.process)))
  const replies = await Promise.all(ports.flatMap((port) => [post(port, `/${port}-a`), post(port, `/${port}-b`)]))
  assert.ok(replies.every((reply) => reply?.status === 201))
  assert.is(new Set(replies.map((reply) => reply?.text)).size, 2)
  const exits = workers.map((worker) => once(worker, 'exit'))
  for (const worker of workers) worker.process.kill('SIGTERM')
  assert.equal(
    (await Promise.all(exits)).map(([code]) => code),
    [0, 0],
  )
  await until(async () => (await connections(target)) === 0, 'no connection to be left')
  assert.is(await look.value('select count(*) from author'), 4)
})

test.run()
