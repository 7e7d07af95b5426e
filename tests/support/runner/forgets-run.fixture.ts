import { suite } from 'uvu'

const test = suite('forgetful')
test('never runs', () => undefined)
