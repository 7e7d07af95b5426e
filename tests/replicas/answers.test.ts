/** What is known of a replica is its answer to the question that was asked last, in any order that the answers come in. */
import { MikroORM } from '@mikro-orm/postgresql'
import * as assert from 'uvu/assert'
import { ClientPool } from '../../source/database/postgres/client-pool.ts'
import { PrimaryWatch } from '../../source/database/postgres/primary-watch.ts'
import { Replica } from '../../source/database/postgres/replica.ts'
import { ReplicaWatch } from '../../source/database/postgres/replica-watch.ts'
import { ServerLine } from '../../source/database/postgres/server-line.ts'
import type { ReplicaState } from '../../source/database/replicas.ts'
import { relationsOf } from '../../source/role/relations-of.ts'
import { ENTITIES } from '../support/entities.ts'
import { suite } from '../support/suite.ts'

const MAX_LAG_MS = 1000

interface World {
  primary: PrimaryWatch
  replica: Replica
  watch: ReplicaWatch
  states: ReplicaState[]
}

const test = suite<World>('the order of the answers of a replica')

// Nothing is asked of a server here.
test.before.each((world) => {
  const orm = new MikroORM({ entities: ENTITIES, dbName: 'unused' })
  const clients = new ClientPool(orm.driver.getConnection('write'), 'reader', relationsOf(orm.driver))
  world.states = []
  world.primary = new PrimaryWatch(new ServerLine(() => clients.pool()), MAX_LAG_MS)
  world.replica = new Replica('replica', clients, () => undefined)
  world.watch = new ReplicaWatch([world.replica], world.primary, ({ state }) => void world.states.push(state))
})

/** A check that was asked at that time is answered now. */
function answered({ watch, replica }: World, askedAt: number, position: bigint, isInRecovery = true): boolean {
  return watch.noteChecked(replica, { askedAt, position, isInRecovery })
}

test('that to an older question moves its position neither back nor on', (world) => {
  answered(world, 20, 5n)
  assert.ok(answered(world, 10, 3n))
  assert.is(world.replica.position, 5n)
  assert.ok(answered(world, 10, 7n))
  assert.is(world.replica.position, 5n)
})

test('that to a later question counts, also where the server has gone back', (world) => {
  answered(world, 10, 5n)
  assert.ok(answered(world, 20, 3n))
  assert.is(world.replica.position, 3n)
})

test('it lags by where the primary was maxLagMs before the question, and not before the answer', (world) => {
  for (const [second, position] of [1n, 2n, 3n, 4n, 5n].entries())
    world.primary.samples.add(second * MAX_LAG_MS, position, position)
  answered(world, 3 * MAX_LAG_MS, 3n)
  assert.equal(world.states, [])
  answered(world, 4 * MAX_LAG_MS, 3n)
  assert.equal(world.states, ['lagging'])
  answered(world, 3 * MAX_LAG_MS, 9n)
  assert.equal(world.states, ['lagging'])
  answered(world, 4 * MAX_LAG_MS, 5n)
  assert.equal(world.states, ['lagging', 'up'])
})

test('one that was not in recovery some time ago, and is by now, stays in use', (world) => {
  answered(world, 20, 5n)
  assert.not.ok(answered(world, 10, 5n, false))
  assert.equal(world.states, [])
  assert.not.ok(answered(world, 30, 5n, false))
  assert.equal(world.states, ['foreign'])
})

test.run()
