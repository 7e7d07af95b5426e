/** The guards of scripts/test.ts, each seen to fail a run. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import { oneAhead } from './one-ahead.ts'
import { suite } from './suite.ts'
import { until } from './until.ts'

const test = suite('runner')
const root = fileURLToPath(new URL('../../', import.meta.url))

function start(fixture: string, env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, ['scripts/test.ts', `tests/support/runner/${fixture}.fixture.ts`], {
    cwd: root,
    env: { ...process.env, FORCE_COLOR: '0', KOA_SQLASSIST_TEST_LIMIT_MS: '400', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const run = { child, output: '', ended: new Promise<number | null>((resolve) => child.on('close', resolve)) }
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (run.output += String(chunk)))
  return run
}

async function runOf(fixture: string): Promise<{ code: number | null; output: string }> {
  const run = start(fixture)
  const code = await run.ended
  return { code, output: run.output }
}

const guards: readonly { rule: string; fixture: string; says: readonly (string | RegExp)[]; last: string }[] = [
  {
    rule: 'a file that forgets test.run()',
    fixture: 'forgets-run',
    says: ['does it end with test.run()?'],
    last: '0 passed, 1 failed',
  },
  {
    rule: 'a failing before hook, with its error,',
    fixture: 'before-hook-fails',
    says: [
      'unprepared › before hook: 2 tests did not run',
      'the database is not there',
      'before-hook-fails.fixture.ts:5',
    ],
    last: '0 passed, 2 failed',
  },
  {
    rule: 'a failing hook after a test or a suite, which hides no error of a test,',
    fixture: 'other-hooks-fail',
    says: [
      'fails by itself\n    wrong result',
      'passes by itself (after each)\n    left a connection out',
      'after hook\n    could not close',
    ],
    last: '0 passed, 3 failed',
  },
  { rule: 'a skipped test', fixture: 'skips', says: ['"for another day" is skipped'], last: '1 passed, 1 failed' },
  { rule: 'a test.only', fixture: 'only', says: ['only 1 of its 2 tests ran'], last: '1 passed, 1 failed' },
  { rule: 'a suite without tests', fixture: 'is-empty', says: ['has no tests'], last: '0 passed, 1 failed' },
  {
    rule: 'an unhandled rejection',
    fixture: 'unhandled-rejection',
    says: ['careless › lets a promise go\n    unhandled rejection: nobody waits for me'],
    last: '1 passed, 1 failed',
  },
  {
    rule: 'an uncaught exception',
    fixture: 'uncaught-exception',
    says: ['throws in a callback\n    uncaught exception: thrown to nobody'],
    last: '0 passed, 1 failed',
  },
  {
    rule: 'a test that hangs, by name,',
    fixture: 'hangs',
    says: ['waits while something keeps the process alive\n    hangs: not done after 400 ms'],
    last: '1 passed, 1 failed',
  },
  {
    rule: 'a test that waits though nothing is left to wait for',
    fixture: 'waits-for-nothing',
    says: ['waits though nothing is left\n    hangs: it waits for something that nothing is left to bring about'],
    last: '1 passed, 1 failed',
  },
  {
    rule: 'what keeps the process alive',
    fixture: 'leaves-timer',
    says: ['left open, which keeps the process alive: 1 Timeout'],
    last: '1 passed, 1 failed',
  },
  {
    rule: 'a file that does not load',
    fixture: 'does-not-load',
    says: ['broken at the top'],
    last: '0 passed, 1 failed',
  },
  { rule: 'a file that is not there', fixture: 'no-such', says: ['no test file matches'], last: '0 passed, 1 failed' },
]

const outcomeOf = oneAhead([...guards.map(({ fixture }) => fixture), 'passes'].map((fixture) => () => runOf(fixture)))

for (const [index, { rule, says, last }] of guards.entries()) {
  test(`${rule} fails the run`, async () => {
    const { code, output } = await outcomeOf(index)
    for (const text of says) assert.match(output, text)
    assert.is(output.trimEnd().split('\n').at(-1), last, output)
    assert.is(code, 1)
  })
}

test('suites with hooks and state pass as they do under uvu', async () => {
  const { code, output } = await outcomeOf(guards.length)
  assert.is(output.trimEnd().split('\n').at(-1), '3 passed, 0 failed', output)
  assert.is(code, 0)
})

for (const [ending, end] of [
  ['exits midway', (pid: number) => pid],
  ['is interrupted', (pid: number) => process.kill(pid, 'SIGINT')],
] as const) {
  test(`a run that ${ending} leaves no PostgreSQL and no folder behind`, async () => {
    const run = start('starts-postgres', {
      KOA_SQLASSIST_TEST_POSTGRES: '',
      KOA_SQLASSIST_TEST_LIMIT_MS: '30000',
      ENDING: ending === 'exits midway' ? 'exit' : 'wait',
    })
    await until(() => run.output.includes('\n'), 'the server to start')
    const server = JSON.parse(run.output.split('\n')[0] ?? '') as { pid: string; folder: string; exists: boolean }
    assert.ok(server.exists)
    end(run.child.pid ?? 0)
    assert.is(await run.ended, ending === 'exits midway' ? 3 : 130)
    await until(() => !existsSync(`/proc/${server.pid}`), 'the server to end')
    assert.not.ok(existsSync(server.folder))
  })
}

test.run()
