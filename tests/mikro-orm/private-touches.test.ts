/** Finds in the text of source/ what it touches of MikroORM, and compares that with the list. */
import { globSync, readFileSync } from 'node:fs'
import * as assert from 'uvu/assert'
import { suite } from '../support/suite.ts'
import { FORMS, type Form } from './reliance.ts'
import { RELIED_ON } from './relied-on.ts'

const SOURCE = new URL('../../source/', import.meta.url).pathname

/** Casts that are about something else. */
const OTHER_CASTS: readonly string[] = [
  'database/postgres/postgres-decisions.ts',
  'debug/recorded-error.ts',
  'koa/attempt-state.ts',
  'koa/body-of-attempts.ts',
  'unit/db-sessions-container.ts',
]

/** The code of each file, without its comments. */
const FILES = globSync('**/*.ts', { cwd: SOURCE })
  .toSorted()
  .map((file) => ({
    file,
    code: readFileSync(SOURCE + file, 'utf8').replaceAll(/\/\*[^]*?\*\/|(?:^|\s)\/\/.*$/gm, ''),
  }))

function formsIn(code: string): Form[] {
  return (Object.keys(FORMS) as Form[]).filter((form) => FORMS[form].test(code))
}

const test = suite('private touches')

test('no file of source/ touches a part of MikroORM that the list does not have for it', () => {
  const missing = FILES.flatMap(({ file, code }) => {
    const listed = new Set(RELIED_ON.filter(({ where }) => where.includes(file)).flatMap(({ forms }) => forms))
    if (OTHER_CASTS.includes(file)) listed.add('cast')
    return formsIn(code).flatMap((form) => (listed.has(form) ? [] : [`${file}: ${form}`]))
  })
  assert.equal(missing, [])
})

test('the list names no file without such a touch', () => {
  const touches = new Map(FILES.map(({ file, code }) => [file, formsIn(code)]))
  const superfluous = RELIED_ON.flatMap(({ what, where, forms }) =>
    where.flatMap((file) => (touches.get(file)?.some((form) => forms.includes(form)) ? [] : [`${what}: ${file}`])),
  )
  assert.equal(superfluous, [])
  assert.equal(
    OTHER_CASTS.filter((file) => !touches.get(file)?.includes('cast')),
    [],
  )
})

test('a private touch is found in the text, and none in a comment', () => {
  const touches = [
    'driver as unknown as Internals',
    'helper(entity).__em',
    'client.constructor',
    'this.processID',
    'driver as { x: 1 }',
  ]
  assert.equal(
    touches.map((code) => formsIn(code)),
    [['cast'], ['field', 'helper'], ['constructor'], ['pg'], ['narrowed']],
  )
  assert.equal(formsIn('em.findOne(Author, 1)'), [])
})

test.run()
