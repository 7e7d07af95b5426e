import * as assert from 'uvu/assert'
import { suite } from '../../tests/support/suite.ts'

const test = suite('the package under the example')

test('is the one that is published: packed, and installed', () => {
  assert.match(import.meta.resolve('koa-sqlassist'), /\/node_modules\/koa-sqlassist\/dist\/index\.js$/)
})

test.run()
