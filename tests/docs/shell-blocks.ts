/** How each command of the documentation is tried. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import * as assert from 'uvu/assert'
import { temporaryFolder } from '../support/sqlite.ts'
import { manifest, root, stranger } from '../support/stranger.ts'

const run = promisify(execFile)

export const shellBlocks: Readonly<Record<string, (code: string) => Promise<void> | void>> = {
  // the installation itself is that of tests/support/stranger.ts, from the packed file
  'README.md › Install': (code) => {
    for (const [name, range] of Object.entries(manifest.peerDependencies)) {
      if (name in manifest.peerDependenciesMeta) continue
      assert.ok(code.includes(` ${name}@${range}`), `${name}@${range}`)
    }
  },
  'CONTRIBUTING.md › Everything': (code) => {
    // what runs them is this run
    const ci = readFileSync(join(root, '.ci/run'), 'utf8')
    for (const command of code.trim().split(' && ')) assert.ok(ci.split('\n').includes(command), command)
  },
  'docs/tracing.md › The debug log': async (code) => {
    const { home } = stranger()
    writeFileSync(
      join(home, 'server.js'),
      `import { TransactionManager } from 'koa-sqlassist/transaction'\nawait new TransactionManager().run(() => undefined)\n`,
    )
    const { stderr } = await run('bash', ['-euc', code], { cwd: home })
    assert.match(stderr, /^SQLASSIST \d+: transaction 1: begin$/m)
  },
  'example-koa/README.md › The example application': startExample,
  'example-koa/README.md › The example application #2': (code) =>
    withExample(async (url) => {
      const commands = code.replaceAll('http://127.0.0.1:3000', url)
      const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', commands])
      assert.not.match(stdout, /"errors"/)
      assert.match(stdout, /HTTP\/1\.1 20\d /)
      assert.match(stdout, /\{"article":\{[^\n]*"title":"Notes"[^\n]*$/)
    }),
}

/** `npm ci` is done; what `npm start` runs is started, and answers. */
async function startExample(code: string): Promise<void> {
  assert.is(code, 'npm ci && npm start\n')
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: { start: string } }
  assert.ok(scripts.start.endsWith('&& node example-koa/server.ts'))
  await withExample(async (url) => assert.is((await fetch(url)).status, 200))
}

async function withExample(work: (url: string) => Promise<void>): Promise<void> {
  // it imports what is built
  stranger()
  const child = spawn(process.execPath, ['example-koa/server.ts'], {
    cwd: root,
    env: { ...process.env, PORT: '0', DATA_DIR: join(temporaryFolder(), `example-${Date.now()}`), DATABASE_URL: '' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const closed = once(child, 'close')
  try {
    const { value: line } = (await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next()) as {
      value: string
    }
    await work(/http:\/\/\S+/.exec(line)?.[0] ?? line)
  } finally {
    child.kill()
    await closed
  }
}
