/** The oldest Koa of the peer range; every other test runs on the newest. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { text } from 'node:stream/consumers'
import * as assert from 'uvu/assert'
import { postgres } from '../support/postgres.ts'
import { manifest, root } from '../support/stranger.ts'
import { suite } from '../support/suite.ts'

const test = suite('the oldest Koa of the peer range')
const hook = new URL('programs/with-oldest-koa.ts', import.meta.url).href

test('is the one that is tested here', () => {
  const { name, version } = JSON.parse(
    readFileSync(join(root, 'node_modules/koa-oldest/package.json'), 'utf8'),
  ) as Record<string, string>
  assert.is(`${name} ^${version}`, `koa ${manifest.peerDependencies['koa']}`)
})

const files = globSync('tests/koa/*.test.ts', { cwd: root }).toSorted()

test('passes the tests of koa/, on the database that takes less time: Koa knows of none', async () => {
  const child = spawn(process.execPath, ['--import', hook, 'scripts/test.ts', ...files], {
    cwd: root,
    env: { ...process.env, KOA_SQLASSIST_TEST_DIALECT: 'sqlite', KOA_SQLASSIST_TEST_POSTGRES: (await postgres()).url },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [output] = await Promise.all([text(child.stdout), once(child, 'close')])
  assert.is(child.exitCode, 0, output)
  assert.match(output, /^[1-9]\d* passed, 0 failed$/m)
  for (const file of files) assert.match(output, new RegExp(`^${file.replaceAll('.', '\\.')}  [1-9]`, 'm'))
})

test.run()
