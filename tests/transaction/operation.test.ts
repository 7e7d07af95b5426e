import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import * as assert from 'uvu/assert'
import { Operation } from '../../source/transaction/operation.ts'
import { suite } from '../support/suite.ts'
import { thrownBy } from './recorder.ts'

const test = suite('an operation')

const ignore = () => {}

test('knows what it called, directly or by another, and nothing else', async () => {
  const seen: boolean[] = []
  const outer = new Operation('commit')
  await outer.run(async () => {
    const inner = new Operation('savepoint')
    seen.push(outer.isInside, inner.isInside)
    const work = async () => {
      await Promise.resolve()
      seen.push(outer.isInside, inner.isInside)
    }
    await inner.run(work, ignore)
    seen.push(outer.isInside, inner.isInside)
  }, ignore)
  seen.push(outer.isInside)
  assert.equal(seen, [true, false, true, true, true, false, false])
})

test('has ended before anybody who waits for it goes on, however it ended', async () => {
  const log: string[] = []
  const error = new Error('it failed')
  const end = () => void log.push('end')
  const next = () => void log.push('next')
  const good = new Operation('commit').run(async () => 'result', end)
  assert.is(await good.finally(next), 'result')
  const fail = async () => {
    throw error
  }
  const bad = new Operation('commit').run(fail, end)
  assert.is(await thrownBy(() => bad.finally(next)), error)
  assert.equal(log, ['end', 'next', 'end', 'next'])
})

test('does not keep the one around it alive once it has ended', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const inTwo = async () => {
    const outer = new Operation('commit')
    const inner = await outer.run(async () => {
      const operation = new Operation('abort')
      await operation.run(async () => {}, ignore)
      return operation
    }, ignore)
    return { outer: new WeakRef(outer), inner }
  }
  const { outer, inner } = await inTwo()
  await new Promise((resolve) => setImmediate(resolve))
  collect()
  assert.is(outer.deref(), undefined)
  assert.is(inner.kind, 'abort')
})

test.run()
