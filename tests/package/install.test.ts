/** The line of the README that installs the package, in an empty folder: npm finds versions of all peers that fit together. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { manifest, root, stranger } from '../support/stranger.ts'
import { temporaryFolder } from '../support/sqlite.ts'
import { suite } from '../support/suite.ts'

/** What npm says where it gets no answer from a registry. */
const UNREACHABLE = /ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ECONNREFUSED|ECONNRESET|ENOTCACHED/

const [, line = ''] =
  /\n## Install\n[^]*?```sh\nnpm install ([^\n]*)/.exec(readFileSync(join(root, 'README.md'), 'utf8')) ?? []
const words = line.split(' ')
const [, forBoth = ''] = /one\nversion of all: `([^`]*)`/.exec(readFileSync(join(root, 'README.md'), 'utf8')) ?? []

const test = suite('the install')

/** The versions of MikroORM's packages that npm would install; undefined where it reaches no registry. */
function resolved(wanted: readonly string[]): Record<string, string> | undefined {
  const home = mkdtempSync(join(temporaryFolder(), 'install-'))
  writeFileSync(join(home, 'package.json'), '{}')
  const packages = wanted.map((word) => (word === 'koa-sqlassist' ? stranger().tarball : word))
  const args = [
    'install',
    '--package-lock-only',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--prefer-offline',
    ...packages,
  ]
  const { status, stderr } = spawnSync('npm', args, { cwd: home, encoding: 'utf8' })
  if (status !== 0 && UNREACHABLE.test(stderr)) return undefined
  assert.is(status, 0, `npm install ${wanted.join(' ')}\n${stderr}`)
  const lock = JSON.parse(readFileSync(join(home, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { version: string }>
  }
  return Object.fromEntries(
    Object.entries(lock.packages).flatMap(([path, { version }]) => {
      const [, name] = /^node_modules\/@mikro-orm\/(\w+)$/.exec(path) ?? []
      return name === undefined ? [] : [[name, version]]
    }),
  )
}

const LINES: Readonly<Record<string, readonly string[]>> = {
  'the line of the README': words,
  'the line for PostgreSQL': words.map((word) => word.replace('/sqlite@', '/postgresql@')),
  'the versions for both databases': ['koa-sqlassist', 'koa', ...forBoth.split(' ')],
  'the lowest versions that the peers allow': words.map((word) => word.replace(/@[~^]/, '@')),
}

for (const [name, wanted] of Object.entries(LINES)) {
  test(`${name} installs MikroORM's packages in one version, with the one that comes with a driver`, () => {
    assert.ok(wanted.length > 3, wanted.join(' '))
    const versions = resolved(wanted)
    if (versions === undefined) return assertOneFreePeer()
    assert.ok('sql' in versions && 'core' in versions, JSON.stringify(versions))
    assert.is(new Set(Object.values(versions)).size, 1, JSON.stringify(versions))
  })
}

test("npm is free to choose MikroORM's version once, and the driver decides", assertOneFreePeer)

test.run()

/** Why the lines install: MikroORM's packages pin each other, and the package asks for no second one of them. */
function assertOneFreePeer(): void {
  const required = Object.keys(manifest.peerDependencies).filter((name) => !(name in manifest.peerDependenciesMeta))
  assert.equal(required, ['@mikro-orm/core', 'koa'])
  for (const driver of ['sqlite', 'postgresql']) {
    const file = join(root, `node_modules/@mikro-orm/${driver}/package.json`)
    const { version, dependencies, peerDependencies } = JSON.parse(readFileSync(file, 'utf8')) as Record<string, any>
    assert.equal([dependencies['@mikro-orm/sql'], peerDependencies['@mikro-orm/core']], [version, version])
  }
}
