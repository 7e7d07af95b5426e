import { suite } from '../suite.ts'

const test = suite('untidy')
test('leaves a timer', () => void setInterval(() => undefined, 1000))
test.run()
