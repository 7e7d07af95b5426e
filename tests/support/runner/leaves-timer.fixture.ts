import { suite } from 'uvu'

const test = suite('untidy')
test('leaves a timer', () => void setInterval(() => undefined, 1000))
test.run()
