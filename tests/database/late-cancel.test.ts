/** A request to cancel that is still on its way when the connection is given back hits nobody else. */
import * as assert from 'uvu/assert'
import { setImmediate as turn } from 'node:timers/promises'
import { EngineRegistry } from '../../source/index.ts'
import { Author } from '../support/entities.ts'
import { poolIdle } from '../support/leaks.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'
import { openGated, type Gated } from '../support/wired.ts'

type Em = any

const test = suite<Gated>('a cancel that comes late')

test.before(async (world) => {
  Object.assign(world, await openGated({ poolMax: 1 }))
  await world.look.rows(
    `create function waits() returns text language sql as 'select pg_advisory_xact_lock_shared(1)::text'`,
  )
})
test.before.each(async ({ look, gate }) => {
  await look.rows('delete from author')
  for (const lock of [1, 2]) await gate.rows(`select pg_advisory_lock(${lock})`)
})
test.after.each(async ({ wire, gate, pool }) => {
  await gate.rows('select pg_advisory_unlock_all()')
  wire.reset()
  await poolIdle(pool)
})
test.after(({ close }) => close())

/** How many of this database wait for a lock. */
const WAITING = `select count(*) from pg_locks l join pg_database d on d.oid = l.database
  where not granted and datname = current_database()`
const WAIT = 'select waits()'
const WAYS: readonly { name: string; options?: object; work: (em: Em) => unknown }[] = [
  {
    name: 'a COMMIT that went along with the last statement',
    options: { pipelineCommit: true },
    work: (em) => void em.create(Author, { name: 'x' }),
  },
  { name: 'a COMMIT of its own', work: (em) => void em.create(Author, { name: 'x' }) },
  { name: 'a ROLLBACK', work: (em) => em.execute(WAIT) },
  {
    name: 'a ROLLBACK after an error',
    async work(em) {
      await em.execute(WAIT)
      throw new Error('the handler fails')
    },
  },
  { name: 'a read', options: { readOnly: true }, work: (em) => em.execute(WAIT) },
  { name: 'a snapshot', options: { readOnly: 'snapshot' }, work: (em) => em.execute(WAIT) },
  {
    name: 'an autonomous role',
    options: { commit: 'autonomous' },
    work: (em) => void em.create(Author, { name: 'x' }),
  },
]

for (const { name, options, work } of WAYS) {
  test(`after ${name}: the connection serves nobody else before the cancel was answered`, async (world) => {
    const { wire, gate, look, orm } = world
    const gone = new AbortController()
    const fork = { signal: gone.signal, inflightQueryAbortStrategy: 'cancel query' } as const
    const registry = new EngineRegistry<any>({ writer: { orm, ...options, fork } })
    const cancel = wire.holdCancels()
    const run = registry.run(({ dbSession }: Em) => work(dbSession.writer)).catch(() => undefined)
    await until(async () => (await look.value(WAITING)) === 1, 'the statement to wait')
    gone.abort()
    await cancel.reached
    await gate.rows('select pg_advisory_unlock(1)')
    await until(async () => (await look.value(WAITING)) === 0, 'the statement to go on')

    const innocent = orm.em
      .fork()
      .execute('select pg_advisory_xact_lock_shared(2)')
      .catch((error: unknown) => error)
    const isSent = () => wire.sql().some((text) => text.includes('shared(2)'))
    // Time enough for a connection that is given back to be taken.
    for (let turns = 0; turns < 20 && !isSent(); turns++) {
      await look.value('select 1')
      await turn()
    }
    const wasServed = isSent()
    cancel.release()
    let isOver = false
    void innocent.then(() => (isOver = true))
    await until(async () => isOver || (await look.value(WAITING)) === 1, 'the next one to be served')
    await gate.rows('select pg_advisory_unlock(2)')
    assert.not.instance(await innocent, Error)
    await run
    assert.is(wasServed, false)
  })
}

test.run()
