import { suite } from 'uvu'

const test = suite('picky')
test('is left out', () => undefined)
test.only('runs', () => undefined)
test.run()
