import * as assert from 'uvu/assert'
import type pg from 'pg'
import { EngineRegistry, type EngineOptions } from '../../source/index.ts'
import { Author } from '../support/entities.ts'
import { poolIdle } from '../support/leaks.ts'
import { postgres } from '../support/postgres.ts'
import { rejection } from '../support/rejection.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'
import { openWired, type Wired } from '../support/wired.ts'

const ROLES: Record<string, Omit<EngineOptions, 'orm'>> = {
  joined: {},
  readOnly: { readOnly: true },
  snapshot: { readOnly: 'snapshot' },
}

const test = suite<Wired>('em.signal of a session')

test.before(async (world) => {
  Object.assign(world, await openWired({ poolMax: 1 }))
})
test.before.each(async ({ pool, wire }) => {
  await poolIdle(pool)
  wire.reset()
})
test.after(({ close }) => close())

/** Whether a client of that pool is in pg_sleep. */
async function sleeps(pool: pg.Pool): Promise<boolean> {
  const { adminQuery } = await postgres()
  const pids = (pool as pg.Pool & { _clients: { processID: number }[] })._clients.map(({ processID }) => processID)
  const active = `select from pg_stat_activity where wait_event = 'PgSleep' and pid = any($1)`
  return (await adminQuery(active, [pids])).length > 0
}

for (const [name, options] of Object.entries(ROLES)) {
  test(`a statement given up while it waits for a connection is never sent, in a role that is ${name}`, async (world) => {
    const { orm, pool, wire } = world
    const holder = await pool.connect()
    await new EngineRegistry({ role: { orm, ...options } }).run(async ({ dbSession }) => {
      const em: any = dbSession.role
      const giveUp = new AbortController()
      em.signal = giveUp.signal
      const waiting = rejection(em.count(Author))
      await until(() => pool.waitingCount === 1, 'the statement to wait')
      giveUp.abort()
      await waiting
      holder.release()
    })
    await poolIdle(pool)
    assert.equal(wire.sql(), [])
  })

  test(`a statement cancelled by 'cancel query' is given up by the server, in a role that is ${name}`, async (world) => {
    const { orm, pool, wire } = world
    await new EngineRegistry({ role: { orm, ...options } }).run(async ({ dbSession }) => {
      const em: any = dbSession.role
      const giveUp = new AbortController()
      em.signal = giveUp.signal
      em.inflightQueryAbortStrategy = 'cancel query'
      const waiting = rejection(em.execute('select pg_sleep(300)'))
      await until(() => sleeps(pool), 'the statement to run')
      giveUp.abort()
      await waiting
    })
    // Until then the server would be asleep, and the connection out.
    await poolIdle(pool)
    assert.is(wire.cancels, 1)
  })
}

test.run()
