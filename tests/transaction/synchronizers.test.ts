import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import * as assert from 'uvu/assert'
import { type Synchronizer, type TransactionError, TransactionManager } from '../../source/transaction/index.ts'
import { suite } from '../support/suite.ts'
import { Recorder, thrownBy } from './recorder.ts'

const test = suite('synchronizers')

function recording(name: string, log: string[]): Synchronizer {
  const note = (method: string) => async () => void log.push(`${name}.${method}`)
  return {
    beforeCompletion: note('beforeCompletion'),
    afterCompletion: note('afterCompletion'),
    newTransaction: note('newTransaction'),
  }
}

test('synchronizers are called at begin, at the start and at the end, in the order of registration', async () => {
  const log: string[] = []
  const [one, two] = [recording('one', log), recording('two', log)]
  const manager = new TransactionManager({ explicit: true })
  await manager.registerSynch(one)
  await manager.registerSynch(two)
  await manager.registerSynch(one)
  const transaction = await manager.begin()
  transaction.join(new Recorder('a', log))
  await manager.commit()
  assert.equal(log, [
    'one.newTransaction',
    'two.newTransaction',
    'one.beforeCompletion',
    'two.beforeCompletion',
    'a.tpcBegin',
    'a.commit',
    'a.tpcVote',
    'a.tpcFinish',
    'one.afterCompletion',
    'two.afterCompletion',
  ])
})

test('an unregistered synchronizer is not called any more, and unregistering an unknown one is an error', async () => {
  const log: string[] = []
  const [one, two] = [recording('one', log), recording('two', log)]
  const manager = new TransactionManager({ explicit: true })
  const unknown = (error: TransactionError) => error.code === 'SQLASSIST_UNKNOWN_SYNCHRONIZER'
  assert.throws(() => manager.unregisterSynch(one), unknown)
  assert.is(manager.registeredSynchs(), false)
  await manager.registerSynch(one)
  await manager.registerSynch(two)
  manager.unregisterSynch(one)
  assert.throws(() => manager.unregisterSynch(one), unknown)
  await manager.begin()
  assert.equal(log, ['two.newTransaction'])
  assert.is(manager.registeredSynchs(), true)
  manager.unregisterSynch(two)
  assert.is(manager.registeredSynchs(), false)
  await manager.registerSynch(one)
  manager.clearSynchs()
  assert.is(manager.registeredSynchs(), false)
  await manager.commit()
})

test('an error of newTransaction comes out of begin, and the transaction is begun', async () => {
  const manager = new TransactionManager({ explicit: true })
  const error = new Error('not now')
  const synchronizer = { ...recording('one', []), newTransaction: () => Promise.reject(error) }
  await manager.registerSynch(synchronizer)
  assert.is(await thrownBy(() => manager.begin()), error)
  assert.is(manager.get().status, 'Active')
  assert.is(await thrownBy(() => manager.registerSynch(synchronizer)), error)
})

test('a manager keeps none of them alive', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const manager = new TransactionManager({ explicit: true })
  const log: string[] = []
  const kept = recording('kept', log)
  await manager.registerSynch(kept)
  await (async () => await manager.registerSynch(recording('dropped', log)))()
  // What a WeakRef was made of in this turn lives to the end of it.
  await new Promise((resolve) => setImmediate(resolve))
  collect()
  await manager.begin()
  assert.equal(log, ['kept.newTransaction'])
  assert.is(manager.registeredSynchs(), true)
  await manager.commit()
  assert.ok(kept)
})

test.run()
