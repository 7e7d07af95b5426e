/** What the databases of tests are refused for. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import * as assert from 'uvu/assert'
import { ConfigurationError } from '../../source/index.ts'
import { freshDatabase, prepareTemplate, workerDatabase } from '../../source/testing/index.ts'
import { rejection } from '../support/rejection.ts'
import { temporaryFolder } from '../support/sqlite.ts'
import { suite } from '../support/suite.ts'
import { migration, newUrl } from './templates-world.ts'

const { migrate, calls } = migration()
const test = suite('the databases of tests')

async function refusal(promise: Promise<unknown>): Promise<string> {
  const error = await rejection(promise)
  assert.instance(error, ConfigurationError)
  return error.message
}

const OPTIONS: readonly [string, Record<string, unknown>, RegExp][] = [
  ['no url', { url: undefined }, /url of the database is undefined.*postgresql:\/\/.*\.sqlite/],
  ['an empty url', { url: '' }, /is empty/],
  ['a url of another database', { url: 'mysql://root:secret@localhost/shop' }, /begins with "mysql:"/],
  ['a url without a database', { url: 'postgresql://localhost:5432' }, /names no database/],
  ['a url that is none', { url: 'postgresql://local host/shop' }, /cannot be read/],
  ['a database in memory', { url: ':memory:' }, /in memory/],
  ['no migrate', { migrate: undefined }, /option migrate is undefined/],
  ['no key', { key: undefined }, /option key is undefined.*getCreateSchemaSQL/],
  ['an empty key', { key: '' }, /option key is empty/],
  ['a misspelt option', { keys: 'one' }, /no option "keys"/],
]
for (const [what, options, message] of OPTIONS) {
  test(`prepareTemplate refuses ${what}, and shows no password`, async () => {
    const all = { url: join(temporaryFolder(), 'refused.sqlite'), key: 'one', migrate, ...options }
    const shown = await refusal(prepareTemplate(all))
    assert.match(shown, message)
    assert.not.match(shown, 'secret')
    assert.is(calls(), 0)
  })
}

for (const write of [
  (path: string) => `file:${path}`,
  (path: string) => `file://${path}`,
  (path: string) => `sqlite:${path}`,
  (path: string) => `sqlite://${path}`,
]) {
  test(`a file of SQLite can be written ${write('/path')}`, async () => {
    const path = await newUrl('sqlite')
    const { url } = await prepareTemplate({ url: write(path), key: 'one', migrate: migration().migrate })
    assert.is(url, path)
  })
}

test('a worker whose name has other characters is refused, and the message says where it comes from', async () => {
  const template = await prepareTemplate({ url: await newUrl('sqlite'), key: 'one', migrate: migration().migrate })
  for (const worker of ['', 'a-b', '../x', 'ü', `1"; drop database x; --`]) {
    assert.match(await refusal(workerDatabase(template, { worker })), /The option worker is /, worker)
  }
  const before = process.env['VITEST_POOL_ID']
  process.env['VITEST_POOL_ID'] = 'pool 1'
  try {
    assert.match(await refusal(workerDatabase(template)), /environment variable VITEST_POOL_ID is "pool 1"/)
  } finally {
    if (before === undefined) delete process.env['VITEST_POOL_ID']
    else process.env['VITEST_POOL_ID'] = before
  }
})

test('what is no template is refused', async () => {
  const template = await prepareTemplate({ url: await newUrl('sqlite'), key: 'one', migrate: migration().migrate })
  const { run: _, ...withoutRun } = template
  for (const call of [workerDatabase, freshDatabase]) {
    for (const given of [undefined, null, JSON.stringify(template), withoutRun, { ...template, dialect: 'mysql' }]) {
      assert.match(await refusal(call(given as never)), /hand its result to the workers/)
    }
  }
})

test('nothing of it runs in production', async () => {
  const url = await newUrl('sqlite')
  const template = await prepareTemplate({ url, key: 'one', migrate: migration().migrate })
  const before = process.env['NODE_ENV']
  process.env['NODE_ENV'] = 'production'
  try {
    for (const call of [
      () => prepareTemplate({ url, key: 'one', migrate }),
      () => workerDatabase(template),
      () => freshDatabase(template),
    ]) {
      assert.match(await refusal(call()), /NODE_ENV is "production"/)
    }
  } finally {
    if (before === undefined) delete process.env['NODE_ENV']
    else process.env['NODE_ENV'] = before
  }
})

for (const [name, url] of [
  ['@mikro-orm/postgresql', 'postgresql://localhost/shop'],
  ['@mikro-orm/sqlite', './shop.sqlite'],
]) {
  test(`a url that needs ${name}, which is not installed, is refused`, async () => {
    const program = fileURLToPath(new URL('programs/without-driver.ts', import.meta.url))
    const { stdout } = await promisify(execFile)(process.execPath, ['--no-warnings', program, `${name}`, `${url}`], {
      cwd: temporaryFolder(),
    })
    assert.equal(JSON.parse(stdout), [
      'ConfigurationError',
      `The url needs ${name}, which is not installed: npm install --save-dev ${name}`,
    ])
  })
}

test.run()
