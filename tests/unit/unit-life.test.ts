import * as assert from 'uvu/assert'
import { UnitLife } from '../../source/unit/unit-life.ts'
import { suite } from '../support/suite.ts'

const test = suite('the life of a unit of work')

test('a unit ends at once, or after its end has begun', () => {
  const atOnce = new UnitLife()
  atOnce.moveTo('ended')
  assert.is(atOnce.ended, true)
  const inSteps = new UnitLife()
  inSteps.moveTo('ending')
  assert.equal([inSteps.isEnding, inSteps.ended], [true, false])
  inSteps.moveTo('ended')
  assert.equal([inSteps.isEnding, inSteps.ended], [false, true])
})

test('a unit ends once, and its end begins once', () => {
  const life = new UnitLife()
  life.moveTo('ending')
  assert.throws(() => life.moveTo('ending'), /is ending cannot be ending/)
  life.moveTo('ended')
  assert.throws(() => life.moveTo('ending'), /is ended cannot be ending/)
  assert.throws(() => life.moveTo('ended'), /is ended cannot be ended/)
})

test('a cancellation changes no stage and keeps its reason to the end', async () => {
  const life = new UnitLife()
  const reason = new Error('gone')
  const aborting = Promise.resolve()
  life.cancel(reason, aborting)
  assert.equal([life.isEnding, life.ended], [false, false])
  life.moveTo('ended')
  assert.is(life.cancelled, reason)
  assert.is(life.aborting, aborting)
  await aborting
})

test.run()
