/** docs/errors.md beside the code: each knows what the other knows. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { entries, root } from '../support/stranger.ts'
import * as core from '../../source/transaction/index.ts'
import { suite } from '../support/suite.ts'

const { SqlassistError, transactionErrorCodes, TransactionUsageError } = core
const test = suite('docs/errors.md')
const documentation = readFileSync(join(root, 'docs/errors.md'), 'utf8')
const rows = [...documentation.matchAll(/^\| (`\w+`.*) \|$/gm)].map(([, row = '']) => row.split(' | '))
const bare = (cell = ''): string => cell.replaceAll('`', '')
const errorRows = rows.filter((row) => row.length === 4).map(([code, name]) => `${bare(name)} ${bare(code)}`)
const warningRows = rows.filter((row) => row.length === 3).map(([code]) => bare(code))

const ENVIRONMENT = 'SQLASSIST_DISABLE_TRANSACTION'
/** Without comments: what they mention is not thrown by them. */
const source = readdirSync(join(root, 'source'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => readFileSync(join(root, 'source', file), 'utf8'))
  .join('\n')
  .replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')

/** Each class with its code, as the source has them: `export class AError extends BError { … code = 'SQLASSIST_A' }`. */
const classes = new Map(
  source.split(/^(?=export (?:abstract )?class )/m).flatMap((text) => {
    const [, name] = /^export (?:abstract )?class (\w+) extends (?:Error|\w+Error)\b/.exec(text) ?? []
    return name === undefined ? [] : [[name, /readonly code(?:: string)? = '(\w+)'/.exec(text)?.[1]] as const]
  }),
)

function codesOf(name: string): string[] {
  const own = classes.get(name)
  if (own !== undefined) return [own]
  if (name === TransactionUsageError.name) {
    const others = new Set(classes.values())
    return transactionErrorCodes.filter((code) => !others.has(code))
  }
  return [new SqlassistError().code]
}

test('has each error class that an entry exports, with its code', async () => {
  for (const { name: entry, types } of entries) {
    const file = types.replace('./dist/', '../../source/').replace('.d.ts', '.ts')
    const exported: [string, unknown][] = Object.entries(await import(file))
    const names = exported.filter(([name]) => name.endsWith('Error')).map(([name]) => name)
    assert.equal(
      names.filter((name) => !classes.has(name)),
      [],
      `classes of ${entry} that this test does not find in the source`,
    )
    for (const code of names.flatMap((name) => codesOf(name).map((each) => `${name} ${each}`))) {
      assert.ok(errorRows.includes(code), `${entry}: ${code} is not in the tables`)
    }
  }
})

test('has each error class of the source, and no other', () => {
  assert.ok(classes.size > 40, `found only ${classes.size}`)
  const expected = [...classes.keys()].flatMap((name) => codesOf(name).map((code) => `${name} ${code}`))
  assert.equal(errorRows.toSorted(), expected.toSorted())
})

test('has each code that the source warns with, and no other', () => {
  const codes = [...source.matchAll(/\bcode: '(SQLASSIST_\w+)'/g)].map(([, code = '']) => code)
  assert.equal(warningRows.toSorted(), [...new Set(codes)].toSorted())
})

test('has every code of the source', () => {
  const known = new Set(rows.map(([code]) => bare(code)))
  const codes = [...source.matchAll(/'(SQLASSIST_\w+)'/g)].map(([, code = '']) => code)
  assert.equal(
    [...new Set(codes)].filter((code) => !known.has(code) && code !== ENVIRONMENT),
    [],
  )
})

test('says for each what it means and what to do', () => {
  for (const row of rows)
    assert.ok(
      row.every((cell) => cell.trim() !== ''),
      row[0],
    )
})

test.run()
