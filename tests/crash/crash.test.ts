/** A short run of scripts/crash.ts; the long ones are run by hand. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import type { Result } from '../../scripts/crash/run.ts'
import { suite } from '../support/suite.ts'

const test = suite('crash')
const SCRIPT = fileURLToPath(new URL('../../scripts/crash.ts', import.meta.url))

async function crash(...options: string[]): Promise<Result & { code: number; log: string }> {
  const child = spawn(process.execPath, [SCRIPT, ...options], { stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, log, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  const line = out.trimEnd().split('\n').at(-1) ?? ''
  assert.ok(line.startsWith('{'), `no JSON line at the end: ${out}\n${log}`)
  return { ...(JSON.parse(line) as Result), code: code as number, log }
}

const BROKEN = ['--broken', 'decision-first', '--only', 'worker at decide answer']
test('whatever is killed, transfers are in all of their databases or in none, and nothing stays in doubt', async () => {
  const { log, code, ...result } = await crash('--rounds', '4', '--seed', '3218', '--workers', '2')
  assert.is(result.violations, 0, log)
  assert.is(result.leftInDoubt, 0, log)
  assert.is(code, 0)
  assert.is(result.rounds, 4)
  assert.ok(result.acknowledged > 0, log)
})

test('a decision that is written before the last PREPARE is found out', async () => {
  const { violations, code, log } = await crash('--rounds', '1', '--seed', '1', '--workers', '2', ...BROKEN)
  assert.ok(violations > 0, log)
  assert.is(code, 1)
})

test.run()
