import { suite } from '../suite.ts'

const test = suite('endless')
test('waits though nothing is left', () => new Promise<void>(() => undefined))
test('comes after', () => undefined)
test.run()
