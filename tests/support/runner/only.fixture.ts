import { suite } from '../suite.ts'

const test = suite('picky')
test('is left out', () => undefined)
test.only('runs', () => undefined)
test.run()
