/** One example for each test runner, run by it with the package as it is packed; a second connection finds nothing of it. */
import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import process from 'node:process'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import { codeBlocks } from '../../docs/code-blocks.ts'
import { oneAhead } from '../../support/one-ahead.ts'
import { secondLook, type SecondLook } from '../../support/second-look.ts'
import { root, stranger } from '../../support/stranger.ts'
import { suite } from '../../support/suite.ts'
import { databasesOf, newUrl, siblingOf } from '../templates-world.ts'

interface Runner {
  /** The folder of its example. */
  readonly folder: string
  /** Its package, where it is one. */
  readonly module?: string
  readonly command: string
  /** What it prints where all tests have passed. */
  readonly passed: RegExp
  readonly parallel?: true
}

const RUNNERS: Readonly<Record<string, Runner>> = {
  vitest: {
    folder: 'vitest',
    module: 'vitest',
    command: 'npx vitest run',
    passed: /Tests +6 passed \(6\)/,
    parallel: true,
  },
  jest: {
    folder: 'jest',
    module: 'jest',
    command: 'node --experimental-vm-modules node_modules/jest/bin/jest.js',
    passed: /^Tests: +6 passed, 6 total$/m,
    parallel: true,
  },
  'node:test': { folder: 'node-test', command: 'node --test', passed: /^. pass 5$/m },
  mocha: { folder: 'mocha', module: 'mocha', command: 'npx mocha articles.test.js', passed: /^ *5 passing/m },
  uvu: { folder: 'uvu', module: 'uvu', command: 'npx uvu . test.js$', passed: /Passed: +5$/m },
}

const test = suite('the examples of runners')
const examples = fileURLToPath(new URL('.', import.meta.url))
let home: string

test.before(() => {
  home = join(stranger().home, 'runners')
  cpSync(examples, home, { recursive: true })
  for (const { folder, module } of Object.values(RUNNERS)) {
    if (module === undefined) continue
    mkdirSync(join(home, folder, 'node_modules'))
    symlinkSync(join(root, 'node_modules', module), join(home, folder, 'node_modules', module))
  }
})

/** As somebody types it; npx is left out, which takes a second to find what is there. */
async function run(command: string, folder: string, url: string): Promise<{ output: string; code: number | null }> {
  const path = [dirname(process.execPath), join(root, 'node_modules/.bin'), process.env['PATH']].join(delimiter)
  const env: NodeJS.ProcessEnv = { ...process.env, PATH: path, DATABASE_URL: url, NO_COLOR: '1' }
  delete env['FORCE_COLOR']
  const child = spawn(command.replace(/^npx /, ''), {
    cwd: join(home, folder),
    env,
    shell: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve))
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { output: stdout + stderr, code: await closed }
}

const runs = Object.values(RUNNERS).map(({ folder, command, parallel }) => async () => {
  const url = parallel === undefined ? '' : await newUrl('postgresql', folder)
  return { url, ...(await run(command, folder, url)) }
})
const outcomeOf = oneAhead(runs)

for (const [index, [name, { folder, passed, parallel }]] of Object.entries(RUNNERS).entries()) {
  test(`the tests for ${name} pass, and leave nothing in the database`, async () => {
    const { url, output, code } = await outcomeOf(index)
    assert.match(output, passed)
    assert.is(code, 0, output)
    assert.not.match(output, 'SQLASSIST_')
    if (parallel === undefined) return await assertEmpty(join(home, folder, 'test.sqlite'))
    const clones = (await databasesOf(url)).filter((each) => each.includes('_test_'))
    assert.equal(
      clones.map((each) => each.replace(/.*_/, '')),
      ['1', '2'],
      'the workers that took part',
    )
    for (const clone of clones) await assertEmpty(siblingOf(url, clone), assertWasWritten)
  })
}

async function assertEmpty(target: string, more?: (look: SecondLook) => Promise<void>): Promise<void> {
  const look = await secondLook(target)
  try {
    assert.is(await look.value('select count(*) from article'), 0, target)
    await more?.(look)
  } finally {
    await look.close()
  }
}

/** No rollback takes a sequence back. */
async function assertWasWritten(look: SecondLook): Promise<void> {
  assert.ok(Number(await look.value('select last_value from article_id_seq')) > 3)
}

/** As the pages have them. */
const PARTS = [
  ...Object.values(RUNNERS).map(({ folder }) => `${folder}/articles.test.js`),
  'vitest/requests.test.js',
  'global-setup.js',
]

test('are what the pages have in JavaScript', () => {
  const blocks = codeBlocks.filter(({ language }) => language === 'js')
  const inOrder = blocks.toSorted(
    (one, other) => Number(one.file.includes('databases')) - Number(other.file.includes('databases')),
  )
  assert.is(blocks.length, PARTS.length)
  for (const [index, { code }] of inOrder.entries()) {
    const file = PARTS[index] ?? ''
    const example = readFileSync(join(examples, file), 'utf8')
    const [start = '', end = ''] = code.split(/ *\/\/ …\n/)
    assert.ok(example.includes(start) && example.endsWith(end), `${file}:\n${code}`)
  }
})

test('are run by the commands that the page has', () => {
  const page = readFileSync(join(root, 'docs/testing.md'), 'utf8')
  for (const [name, { command }] of Object.entries(RUNNERS)) {
    assert.ok(page.includes(`| [${name}](#${name.replace(':', '')}) | \`${command}\` |`), name)
  }
})

test.run()
