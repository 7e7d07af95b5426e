import { suite } from '../suite.ts'

const test = suite('careless')
test('lets a promise go', () => {
  void Promise.reject(new Error('nobody waits for me'))
})
test('is not to blame', () => undefined)
test.run()
