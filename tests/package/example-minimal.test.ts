/** example-minimal, as somebody who copies its files beside the packed package has it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { text } from 'node:stream/consumers'
import * as assert from 'uvu/assert'
import { createDatabase } from '../support/postgres.ts'
import { root, stranger } from '../support/stranger.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'

const FOLDER = 'example-minimal'
const FILES = ['entities.ts', 'server.ts', 'server.test.ts']
const DATABASES: Readonly<Record<string, () => Promise<NodeJS.ProcessEnv>>> = {
  SQLite: async () => ({ DATABASE_FILE: ':memory:' }),
  PostgreSQL: async () => ({ DATABASE_URL: await createDatabase('minimal') }),
}

const test = suite('the minimal example')
let cwd: string

test.before(() => {
  cwd = join(stranger().home, FOLDER)
  cpSync(join(root, FOLDER), cwd, { recursive: true })
})

function start(args: readonly string[], env: NodeJS.ProcessEnv) {
  return spawn(process.execPath, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

test('compiles as strictly as TypeScript can, declarations included', () => {
  const files = FILES.map((file) => join(FOLDER, file))
  assert.equal(stranger().complaints(files, ['--module', 'nodenext', '--allowImportingTsExtensions']), [])
})

for (const [database, environment] of Object.entries(DATABASES)) {
  test(`its own test passes on ${database}`, async () => {
    const child = start(['--test', '--test-reporter=tap'], await environment())
    const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
    assert.match(`${output}${errors}`, /^# pass 2$/m)
    assert.is(code, 0, output)
  })

  test(`its server starts on ${database}, answers, and ends at SIGTERM`, async () => {
    const child = start(['server.ts'], { PORT: '0', ...(await environment()) })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)))
    const closed = once(child, 'close')
    await until(
      () => /listening on \S+/.test(output) || child.exitCode !== null,
      () => `the server to listen: ${output}`,
    )
    const [, url = ''] = /listening on (\S+)/.exec(output) ?? []
    const answer = await fetch(url, { headers: { connection: 'close' } })
    assert.equal([answer.status, await answer.json()], [200, []], output)
    child.kill('SIGTERM')
    assert.equal(await closed, [0, null], output)
  })
}

test.run()
