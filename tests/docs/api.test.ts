/** docs/api.md and the docstrings that it is made from, as they are in the packed declarations. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { documentedEntries, type DocumentedEntry } from '../../scripts/api/documented-entries.ts'
import { missing } from '../../scripts/api/missing.ts'
import { render } from '../../scripts/api/render.ts'
import { entries, root, stranger } from '../support/stranger.ts'
import { suite } from '../support/suite.ts'

const test = suite('docs/api.md')
let documented: DocumentedEntry[]

test.before(async () => {
  documented = await documentedEntries(stranger().installed)
})

test('tells of every entry, and all that it exports', () => {
  assert.equal(documented.map(({ name }) => name).toSorted(), entries.map(({ name }) => name).toSorted())
  for (const { name, exports } of documented) {
    const exported = stranger().evaluate(
      `console.log(JSON.stringify(Object.keys(await import('${name}'))))`,
    ) as string[]
    const told = new Set(exports.map((each) => each.name))
    assert.equal(
      exported.filter((each) => !told.has(each)),
      [],
    )
  }
})

test('every export and every member has a docstring, and every option tells its default', () => {
  for (const { name, exports } of documented) assert.equal(missing(exports), [], name)
})

test('is what `npm run docs` makes of them', () => {
  const page = readFileSync(join(root, 'docs/api.md'), 'utf8')
  assert.ok(page === render(documented), 'docs/api.md is not what the docstrings say: run `npm run docs`')
})

test.run()
