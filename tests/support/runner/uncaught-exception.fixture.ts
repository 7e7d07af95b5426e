import { suite } from '../suite.ts'

const test = suite('careless')
test('throws in a callback', async () => {
  setImmediate(() => {
    throw new Error('thrown to nobody')
  })
  await new Promise((resolve) => setTimeout(resolve, 5))
})
test.run()
