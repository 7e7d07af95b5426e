/** Compares docs/architecture.md and CONTRIBUTING.md with the tree. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import * as assert from 'uvu/assert'
import { suite } from '../support/suite.ts'

const root = new URL('../../', import.meta.url)
const ARCHITECTURE = readFileSync(new URL('docs/architecture.md', root), 'utf8')
const CONTRIBUTING = readFileSync(new URL('CONTRIBUTING.md', root), 'utf8')
const ROOMS = readdirSync(new URL('source/', root), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)

const test = suite('the description of the architecture')

test('names files that exist', () => {
  const named = [...ARCHITECTURE.matchAll(/`((?:source\/)?[\w-]+\/[\w/-]+\.ts)`/g)].map(([, path = '']) => path)
  assert.ok(named.length > 10)
  assert.equal(
    named.filter((path) => !existsSync(new URL(path.startsWith('source/') ? path : `source/${path}`, root))),
    [],
  )
})

test('has every room, as CONTRIBUTING.md does', () => {
  const missing = ROOMS.filter(
    (room) => !ARCHITECTURE.includes(`\`${room}/\``) || !CONTRIBUTING.includes(`  ${room}/ `),
  )
  assert.equal(missing, [])
})

test('gives the classes and functions of the way of a statement as they are called', () => {
  const steps = [...ARCHITECTURE.matchAll(/`(\w+)(?:\.(\w+))?` — `([\w/-]+\.ts)`/g)]
  assert.ok(steps.length > 6)
  for (const [step, first = '', method, path] of steps) {
    const code = readFileSync(new URL(`source/${path}`, root), 'utf8')
    const isThere = method === undefined ? code.includes(`function ${first}`) : code.includes(`class ${first}`)
    assert.ok(isThere && new RegExp(`\\b${method ?? first}\\b[<(]`).test(code), step)
  }
})

test.run()
