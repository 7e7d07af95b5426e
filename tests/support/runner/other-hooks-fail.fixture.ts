import { suite } from '../suite.ts'

const test = suite('untidy')
test.after.each(() => {
  throw new Error('left a connection out')
})
test.after(() => {
  throw new Error('could not close')
})
test('fails by itself', () => {
  throw new Error('wrong result')
})
test('passes by itself', () => undefined)
test.run()
