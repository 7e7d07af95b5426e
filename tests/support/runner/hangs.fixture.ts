import { createServer } from 'node:net'
import { suite } from '../suite.ts'

const test = suite('endless')
const server = createServer()
test.after(() => void server.close())
test('waits while something keeps the process alive', async () => {
  server.listen(0)
  await new Promise(() => undefined)
})
test('comes after', () => undefined)
test.run()
