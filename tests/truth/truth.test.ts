/** Short runs of scripts/truth.ts; the long ones are run by hand. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import type { Result } from '../../scripts/truth/run.ts'
import { oneAhead } from '../support/one-ahead.ts'
import { postgres } from '../support/postgres.ts'
import { suite } from '../support/suite.ts'

const test = suite('truth')
const SCRIPT = fileURLToPath(new URL('../../scripts/truth.ts', import.meta.url))

async function truth(...options: string[]): Promise<Result & { code: number; log: string }> {
  const { url } = await postgres()
  const env = {
    ...process.env,
    KOA_SQLASSIST_TEST_POSTGRES: url,
    SQLASSIST_DISABLE_TRANSACTION: '',
  }
  const child = spawn(process.execPath, [SCRIPT, ...options], { stdio: ['ignore', 'pipe', 'pipe'], env })
  const [out, log, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  const line = out.trimEnd().split('\n').at(-1) ?? ''
  assert.ok(line.startsWith('{'), `no JSON line at the end: ${out}\n${log}`)
  return { ...(JSON.parse(line) as Result), code: code as number, log }
}

const RUNS = [
  ['sqlite', '100'],
  ['both', '100'],
] as const

/** Each with a run that is known to find it, and the kind of lie it shows as. */
const BROKEN = [
  ['entities-stay', 'sqlite', '1', 'entity shows'],
  ['commit-believed', 'postgresql', '2', 'committed but missing'],
  ['second-commit-skipped', 'postgresql', '2', 'leak'],
  ['earlier-attempt-kept', 'sqlite', '1', 'of an earlier attempt'],
  ['client-ignored', 'sqlite', '7', 'aborted but stored'],
  ['reader-left-open', 'postgresql', '1', 'leak'],
  ['connections-not-cleaned', 'postgresql', '1', 'left behind'],
  ['read-only-ignored', 'sqlite', '2', 'accepted by a reader'],
] as const

const resultOf = oneAhead([
  ...RUNS.map(
    ([database, programs]) =>
      () =>
        truth('--programs', programs, '--seed', '31', '--database', database, '--show', '1'),
  ),
  ...BROKEN.map(([name, database, seed]) => () => {
    const options = ['--programs', '24', '--seed', seed, '--database', database, '--break', name]
    return truth(...options, '--show', '0', '--patience', '2000')
  }),
])

for (const [index, [database, programs]] of RUNS.entries()) {
  test(`what the callers of random programs were told is what is stored (${database})`, async () => {
    const result = await resultOf(index)
    assert.equal(result.lies, {}, result.log)
    assert.is(result.code, 0)
    assert.ok(result.resolved > Number(programs) / 4, `only ${result.resolved} units ended well`)
  })
}

for (const [index, [name, , , kind]] of BROKEN.entries()) {
  test(`a library that is made wrong is found out: ${name}`, async () => {
    const { lies, code, log } = await resultOf(RUNS.length + index)
    assert.ok((lies[kind] ?? 0) > 0, log)
    assert.is(code, 1)
  })
}

test.run()
