import * as assert from 'uvu/assert'
import { suite } from '../suite.ts'

const order: string[] = []
const hooked = suite('hooked', { given: 1 })
hooked.before(() => void order.push('before'))
hooked.before.each(() => void order.push('before each'))
hooked.after.each(() => void order.push('after each'))
hooked.after(() => void order.push('after'))
hooked('gets the state', (state) => {
  order.push('test')
  assert.equal(state, { given: 1, __suite__: 'hooked', __test__: 'gets the state' })
})
hooked('runs second', () => void order.push('test'))
hooked.run()

const test = suite()
test('hooks run in order', () => {
  assert.is(order.join(), 'before,before each,test,after each,before each,test,after each,after')
})
test.run()
