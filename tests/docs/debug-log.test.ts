/** The debug log, and what docs/tracing.md shows of it. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import * as assert from 'uvu/assert'
import { createDatabase } from '../support/postgres.ts'
import { root } from '../support/stranger.ts'
import { suite } from '../support/suite.ts'

const test = suite<{ log: string[] }>('the debug log')
const program = fileURLToPath(new URL('programs/logged-run.ts', import.meta.url))

/** Without what is different each time: the process, the times. */
function linesOf(text: string): string[] {
  return [...text.matchAll(/^SQLASSIST \d+: (.*)$/gm)].map(([, line = '']) => line.replace(/\([\d.]+ ms\)/, '(… ms)'))
}

async function logOf(env: NodeJS.ProcessEnv): Promise<string[]> {
  const args = [program, await createDatabase('docs')]
  const { stderr } = await promisify(execFile)(process.execPath, args, { env: { ...process.env, ...env } })
  return linesOf(stderr)
}

test.before(async (world) => {
  world.log = await logOf({ NODE_DEBUG: 'sqlassist' })
})

test('of a request is what docs/tracing.md shows', ({ log }) => {
  const shown = linesOf(readFileSync(join(root, 'docs/tracing.md'), 'utf8'))
  assert.ok(shown.length > 5)
  assert.equal(log.slice(0, shown.length), shown)
})

test('tells why a unit of work aborted, and that it is done again', ({ log }) => {
  const second = log.slice(log.indexOf('unit of work 2: start'))
  assert.ok(second.includes('unit of work 2: aborted: failed, and again'), second.join('\n'))
  assert.ok(second.includes('unit of work 3 (attempt 2): committed'), second.join('\n'))
})

test('says nothing unless it is asked for', async () => {
  assert.equal(await logOf({ NODE_DEBUG: '' }), [])
})

test.run()
