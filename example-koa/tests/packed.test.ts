import { suite } from 'uvu'
import * as assert from 'uvu/assert'

const test = suite('the package under the example')

test('is the one that is published: packed, and installed', () => {
  assert.match(import.meta.resolve('koa-sqlassist'), /\/node_modules\/koa-sqlassist\/dist\/index\.js$/)
})

test.run()
