import { suite } from '../suite.ts'

const test = suite('forgetful')
test('never runs', () => undefined)
