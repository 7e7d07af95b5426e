import { suite } from '../suite.ts'

const test = suite('unprepared')
test.before(() => {
  throw new Error('the database is not there')
})
test('does not run', () => undefined)
test('does not run either', () => undefined)
test.run()
