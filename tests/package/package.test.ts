/** The package as a stranger sees it: built, packed, installed into an empty folder, imported and compiled against. */
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { temporaryFolder } from '../support/sqlite.ts'

interface Manifest {
  readonly files: readonly string[]
  readonly exports: Readonly<Record<string, string | { types: string; development: string; default: string }>>
  readonly peerDependencies: Readonly<Record<string, string>>
}

const test = suite('package')
const root = fileURLToPath(new URL('../../', import.meta.url))
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest
const entries = Object.entries(manifest.exports).flatMap(([name, target]) =>
  typeof target === 'string' ? [] : [{ name: name.replace('.', 'koa-sqlassist'), ...target }],
)
let home: string
let installed: string

function run(command: string, args: readonly string[], cwd = home): string {
  try {
    return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  } catch (error) {
    throw new Error(`${command} ${args.join(' ')} failed`, { cause: error })
  }
}

/** Runs a script in the stranger's folder; it prints JSON. */
function evaluate(script: string): unknown {
  return JSON.parse(run(process.execPath, ['--input-type=module', '--eval', script]))
}

test.before(() => {
  const unpacked = join(temporaryFolder(), 'to-pack')
  home = join(temporaryFolder(), 'stranger')
  for (const folder of [unpacked, home]) mkdirSync(folder)
  for (const file of ['package.json', 'README.md', 'CHANGELOG.md', 'LICENSE'])
    cpSync(join(root, file), join(unpacked, file))
  // to be left out
  cpSync(join(root, 'source'), join(unpacked, 'source'), { recursive: true })
  run(process.execPath, ['scripts/build.ts', '--out', join(unpacked, 'dist')], root)
  run('npm', ['pack', '--pack-destination', home], unpacked)
  writeFileSync(join(home, 'package.json'), '{ "name": "stranger", "private": true, "type": "module" }')
  const tarball = readdirSync(home).find((file) => file.endsWith('.tgz')) ?? ''
  // the peers are those of this checkout: no registry is asked
  run('npm', ['install', '--offline', '--legacy-peer-deps', `./${tarball}`])
  for (const name of [
    ...Object.keys(manifest.peerDependencies),
    '@types/node',
    '@types/koa',
    '@mikro-orm/sql',
    '@mikro-orm/sqlite',
    '@mikro-orm/postgresql',
    'pg',
  ]) {
    const link = join(home, 'node_modules', name)
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(join(root, 'node_modules', name), link)
  }
  installed = join(home, 'node_modules', 'koa-sqlassist')
})

test('holds what is built and what is to be read, and nothing else', () => {
  assert.equal(readdirSync(installed).toSorted(), ['CHANGELOG.md', 'LICENSE', 'README.md', 'dist', 'package.json'])
})

test('every entry can be imported', () => {
  for (const { name } of entries) {
    assert.ok(
      (evaluate(`console.log(JSON.stringify(Object.keys(await import('${name}'))))`) as string[]).length > 0,
      name,
    )
  }
})

test('what two entries export is the same thing, error classes included', () => {
  const different = evaluate(`
    const main = await import('koa-sqlassist')
    const transaction = await import('koa-sqlassist/transaction')
    const shared = Object.keys(transaction).filter((name) => name in main)
    console.log(JSON.stringify({ shared: shared.length > 0, different: shared.filter((name) => main[name] !== transaction[name]) }))
  `)
  assert.equal(different, { shared: true, different: [] })
})

test('the transaction core loads nothing but Node', () => {
  const seen = new Set<string>()
  const foreign: string[] = []
  const visit = (file: string) => {
    if (seen.has(file)) return
    seen.add(file)
    for (const [, specifier = ''] of readFileSync(file, 'utf8').matchAll(/(?:from|import)\s*\(?"([^"]+)"/g)) {
      if (specifier.startsWith('.')) visit(join(dirname(file), specifier))
      else if (!specifier.startsWith('node:')) foreign.push(specifier)
    }
  }
  visit(join(installed, 'dist/transaction/index.js'))
  assert.ok(seen.size > 1, 'the parts that entries share are files of their own')
  assert.equal(foreign, [])
})

test('NODE_DEBUG shows the life of a transaction under the condition `development`, and nothing without it', () => {
  const script = `
    const { TransactionManager } = await import('koa-sqlassist/transaction')
    const { dbSessions } = await import('koa-sqlassist')
    const manager = new TransactionManager({ explicit: true })
    const transaction = await manager.begin()
    transaction.note('shown')
    await manager.commit()
    if (typeof dbSessions !== 'function') throw new Error('the main entry is missing')
  `
  const linesUnder = (...conditions: string[]) => {
    const { status, stderr } = spawnSync(
      process.execPath,
      [...conditions.map((name) => `--conditions=${name}`), '--input-type=module', '--eval', script],
      { cwd: home, encoding: 'utf8', env: { ...process.env, NODE_DEBUG: 'sqlassist' } },
    )
    assert.is(status, 0, stderr)
    return stderr.split('\n').filter((line) => line.startsWith('SQLASSIST'))
  }
  const lines = linesUnder('development').map((line) => line.replace(/^SQLASSIST \d+: |\([\d.]+ ms\)/g, '').trim())
  assert.equal(lines, ['transaction 1: begin', 'transaction 1 "shown": commit', 'transaction 1 "shown": commit done'])
  assert.equal(linesUnder(), [])
})

test('the published build holds nothing of the debug log', () => {
  const files = readdirSync(join(installed, 'dist'), { recursive: true, encoding: 'utf8' })
  const withDebugLog = files.filter(
    (file) => file.endsWith('.js') && readFileSync(join(installed, 'dist', file), 'utf8').includes('debuglog'),
  )
  assert.ok(withDebugLog.length > 0)
  assert.ok(withDebugLog.every((file) => file.startsWith('development')))
})

test('the source maps lead to sources that they hold themselves', () => {
  const map = JSON.parse(readFileSync(join(installed, 'dist/index.js.map'), 'utf8')) as {
    sources: string[]
    sourcesContent?: string[]
  }
  assert.is(map.sourcesContent?.length, map.sources.length)
})

test('a consumer compiles against the declarations, and is refused what they refuse', () => {
  writeFileSync(
    join(home, 'consumer.ts'),
    `import { dbSessions } from 'koa-sqlassist'
     import { TransactionManager, type Transaction } from 'koa-sqlassist/transaction'
     const manager = new TransactionManager({ explicit: true })
     export const begun: Promise<Transaction> | Transaction = manager.begin()
     export const made: typeof dbSessions = dbSessions
     // @ts-expect-error a declaration that is not found would be any, and any can be everything
     export const refused: string = manager
     // @ts-expect-error the same of the main entry
     export const refusedToo: string = dbSessions`,
  )
  const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc')
  for (const module of [
    ['--module', 'nodenext'],
    ['--module', 'esnext', '--moduleResolution', 'bundler'],
  ]) {
    run(process.execPath, [
      compiler,
      '--strict',
      '--noEmit',
      '--skipLibCheck',
      '--target',
      'es2022',
      '--types',
      'node',
      ...module,
      'consumer.ts',
    ])
  }
})

test.run()
