/** The sandbox as a stranger has it: a program that imports the packed package tests its application over HTTP. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { text } from 'node:stream/consumers'
import * as assert from 'uvu/assert'
import { DIALECTS, newDatabase, type Dialect } from '../support/orms.ts'
import { stranger } from '../support/stranger.ts'
import { suite } from '../support/suite.ts'

const PROGRAM = 'sandbox.ts'

/** What each test of the program sees: what the requests answer, a status where they fail. */
const SEEN: Readonly<Record<string, readonly [title: string, seen: unknown]>> = {
  'early commit': [
    'what a handler commits early is there for the next request, and gone with the test',
    [500, [['early'], []]],
  ],
  'inner run': [
    'what a run inside of a failing request commits is there, and gone with the test',
    [500, [['inner'], []]],
  ],
  'log entry': ['a log entry outlives the request that fails, and not its test', [500, [[], ['kept']]]],
  hook: ['an after-commit hook runs, with what became of the commit', [null, [true]]],
  'later request': ['a reader sees what an earlier request has committed', [null, [['created'], []]]],
  'read ahead': [
    'a reader that sees what the same request has flushed is warned of',
    [1, ['SQLASSIST_SANDBOX_READ_AHEAD']],
  ],
  'deferred constraint': [
    'a constraint that is checked at the commit fails the request, and not the one that keeps to it',
    [500, null, [['reviewed'], []]],
  ],
}

async function run(dialect: Dialect): Promise<Record<string, unknown>> {
  copyFileSync(new URL(`programs/${PROGRAM}`, import.meta.url), join(stranger().home, PROGRAM))
  const database = await newDatabase(dialect)
  const env = { ...process.env, DATABASE: database, LOGS: dialect === 'sqlite' ? await newDatabase(dialect) : database }
  const child = spawn(process.execPath, [PROGRAM], { cwd: stranger().home, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  assert.is(child.exitCode, 0, errors)
  return JSON.parse(output) as Record<string, unknown>
}

for (const dialect of DIALECTS) {
  const test = suite<{ found: Record<string, unknown> }>(`the packed sandbox on ${dialect}`)

  test.before(async (world) => {
    world.found = await run(dialect)
  })

  for (const [name, [title, seen]] of Object.entries(SEEN)) {
    test(title, ({ found }) => {
      assert.equal(found[name], { seen, during: 0, after: 0 })
    })
  }

  test('the program has no other tests', ({ found }) => {
    assert.equal(Object.keys(found), Object.keys(SEEN))
  })

  test.run()
}
