import * as assert from 'uvu/assert'
import { ConfigurationError, EngineRegistry, type EngineRegistryOptions } from '../../source/index.ts'
import { databaseSuite } from '../support/database-suite.ts'

const test = databaseSuite('the options of a registry', 'sqlite')

const WRONG: readonly (readonly [options: object, message: RegExp])[] = [
  [{ atomicity: 'required' }, /no option "atomicity"\. The options are .*atomic/],
  [{ disableTransaction: 'no' }, /disableTransaction is "no"\. It can be true or false\./],
  [{ atomic: 'always' }, /atomic is "always"\. It can be 'prefer' or 'required'\./],
  [{ name: 'the shop' }, /name/],
  [{ recover: true }, /recover/],
  [{ recover: { everyMs: 0 } }, /everyMs/],
  [{ recover: { graceMs: -1 } }, /graceMs/],
]

for (const [options, message] of WRONG) {
  test(`${JSON.stringify(options)} is refused with what it can be`, ({ orm }) => {
    assert.throws(
      () => new EngineRegistry({ writer: orm }, options as EngineRegistryOptions),
      (error: unknown) => error instanceof ConfigurationError && message.test(error.message),
    )
  })
}

test('disableTransaction: false holds whatever the environment says', ({ orm }) => {
  process.env['SQLASSIST_DISABLE_TRANSACTION'] = '1'
  try {
    assert.is(new EngineRegistry({ writer: orm }).disablesTransactions, true)
    assert.is(new EngineRegistry({ writer: orm }, { disableTransaction: false }).disablesTransactions, false)
  } finally {
    delete process.env['SQLASSIST_DISABLE_TRANSACTION']
  }
})

test.run()
