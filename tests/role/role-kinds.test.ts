import { readFileSync } from 'node:fs'
import * as assert from 'uvu/assert'
import { MikroORM } from '@mikro-orm/sqlite'
import { ROLE_KINDS, rulesOf, type RoleKind } from '../../source/role/role-kinds.ts'
import { resolveEngineOptions } from '../../source/role/engine-options.ts'
import { suite } from '../support/suite.ts'

const PAGE = new URL('../../docs/roles.md', import.meta.url)
const FIRST_COLUMN = '| kind of role |'

const test = suite('kinds of roles')

interface Row {
  readonly kind: RoleKind
  readonly options: string
  readonly transaction: string
  readonly others: readonly string[]
}

function rows(): Row[] {
  const lines = readFileSync(PAGE, 'utf8').split('\n')
  const start = lines.findIndex((line) => line.startsWith(FIRST_COLUMN)) + 2
  const table = lines.slice(start, lines.indexOf('', start))
  return table.map((line) => {
    const [kind, options, transaction, ...others] = line
      .split('|')
      .map((cell) => cell.trim())
      .slice(1, -1)
    return { kind: kind as RoleKind, options: options as string, transaction: transaction as string, others }
  })
}

function yesOrNo(value: boolean): string {
  return value ? 'yes' : 'no'
}

test('docs/roles.md has a row for each kind of role, in the order of the code', () => {
  assert.equal(
    rows().map(({ kind }) => kind),
    Object.keys(ROLE_KINDS),
  )
})

test('docs/roles.md says of each kind of role what the code does', () => {
  for (const { kind, transaction, others } of rows()) {
    const { scope, begin, writes, commits, abortsWithUnit, readsLate } = rulesOf(kind)
    const isolation = begin.isolationLevel?.toUpperCase()
    const alone = begin.readOnly === true ? 'one for each statement, READ ONLY' : 'none'
    const lasting = isolation === undefined ? 'one' : `one, ${isolation} READ ONLY`
    const shown = scope === 'statement' ? alone : lasting
    assert.is(transaction, shown, kind)
    assert.is(begin.readOnly === true, !writes, kind)
    assert.equal(others, [yesOrNo(writes), commits, yesOrNo(abortsWithUnit), yesOrNo(readsLate)], kind)
  }
})

test('the options in docs/roles.md make the kind of role that they stand beside', async () => {
  const orm = await MikroORM.init({ entities: [], dbName: ':memory:', discovery: { warnWhenNoEntities: false } })
  for (const { kind, options } of rows()) {
    const [, name, value] = /^`(\w+): (.+)`$/.exec(options) ?? []
    const given = name === undefined ? {} : { [name]: value === 'true' ? true : value?.replaceAll("'", '') }
    assert.is(resolveEngineOptions('role', { orm, ...given }).kind, kind)
    assert.is(name === undefined, options === 'none')
  }
  await orm.close()
})

test.run()
