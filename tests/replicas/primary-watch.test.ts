/** An answer that is on its way may be older than what somebody wants to know of the primary. */
import pg from 'pg'
import * as assert from 'uvu/assert'
import { PrimaryWatch } from '../../source/database/postgres/primary-watch.ts'
import { ReplicaWatch } from '../../source/database/postgres/replica-watch.ts'
import { ServerLine } from '../../source/database/postgres/server-line.ts'
import type { PoolOfClients } from '../../source/database/postgres/side-connection.ts'
import { parsePosition } from '../../source/database/wal-position.ts'
import { postgres } from '../support/postgres.ts'
import { rejection } from '../support/rejection.ts'
import { secondLook, type SecondLook } from '../support/second-look.ts'
import { suite } from '../support/suite.ts'
import { openWire, type Wire } from '../support/wire.ts'

interface World {
  wire: Wire
  look: SecondLook
  primary: PrimaryWatch
}

const test = suite<World>('what the primary is asked')

const QUESTION = /pg_current_wal_flush_lsn/

function poolOver({ url }: Wire): PoolOfClients {
  return new pg.Pool({ connectionString: url }) as unknown as PoolOfClients
}

test.before(async (world) => {
  const { url } = await postgres()
  world.wire = await openWire(url)
  world.look = await secondLook(url)
})
test.before.each((world) => {
  world.primary = new PrimaryWatch(new ServerLine(async () => poolOver(world.wire)), 1000)
  world.wire.reset()
})
test.after.each(({ primary }) => primary.close())
test.after(async ({ wire, look }) => {
  await wire.close()
  await look.close()
})

/** A position that the primary reaches while its answer to an older question is held. */
async function reachedBehindAnAnswer({ wire, look, primary }: World) {
  const held = wire.hold(QUESTION, 'answer')
  const older = primary.ask()
  await held.reached
  const position = await look.value(`select pg_logical_emit_message(true, 'test', 'on')::text`)
  return { older, position: parsePosition(position) ?? 0n, release: () => held.release() }
}

test('is asked anew by those who came while an answer was on its way, once for all of them', async (world) => {
  const { older, position, release } = await reachedBehindAnAnswer(world)
  const anew = [world.primary.askAnew(), world.primary.askAnew()]
  release()
  assert.ok(await older)
  assert.ok((world.primary.samples.newest ?? 0n) < position)
  assert.equal(await Promise.all(anew), [true, true])
  assert.ok((world.primary.samples.newest ?? 0n) >= position)
  assert.is(world.wire.messages().length, 2)
})

test('is asked once where no answer is on its way', async ({ primary, wire }) => {
  assert.ok(await primary.askAnew())
  assert.is(wire.messages().length, 1)
})

test('a position stands that was reached while an older answer was on its way', async (world) => {
  const { position, release } = await reachedBehindAnAnswer(world)
  const checked = world.primary.checked(position)
  release()
  assert.is(await checked, position)
})

test('a watch that is stopped before its first answer has not begun', async ({ wire, primary }) => {
  const watch = new ReplicaWatch([], primary, () => undefined)
  const held = wire.hold(QUESTION, 'answer')
  const using = watch.use()
  await held.reached
  watch.stop()
  await using
  held.release()
  const again = watch.use()
  assert.instance(again, Promise)
  await again
  assert.is(watch.use(), undefined)
  assert.is(primary.identity?.system?.length, 19)
  watch.stop()
})

test('a connection that is closed before its pool is there is not opened', async ({ wire }) => {
  const { promise, resolve } = Promise.withResolvers<PoolOfClients>()
  const line = new ServerLine(() => promise)
  const asking = rejection(line.ask('select 1', 60_000))
  line.close()
  resolve(poolOver(wire))
  assert.match((await asking).message, /closed before it was open/)
  assert.is(wire.connections, 0)
})

test.run()
