/** The package as a stranger sees it: built, packed, installed into an empty folder, imported and compiled against. */
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, readdirSync, readFileSync, readlinkSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { publint } from 'publint'
import * as assert from 'uvu/assert'
import { entries, manifest, root, stranger, type Stranger } from '../support/stranger.ts'
import { suite } from '../support/suite.ts'

const test = suite('package')
let home: string
let installed: string
let evaluate: Stranger['evaluate']

test.before(() => {
  ;({ home, installed, evaluate } = stranger())
})

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .toSorted()
}

/** What a module or a declaration asks for, wherever it says so. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(installed, file), 'utf8')
  // The words of SQL stand in quotes.
  return [...text.matchAll(/(?<!['"])\b(?:from|import)\s*\(?\s*['"]([^'"\n]+)['"]/g)].map(
    ([, specifier = '']) => specifier,
  )
}

/** A file of the package and all that it leads to within it; what it asks for outside of it. */
function reach(file: string, ending: string, seen = new Set<string>(), foreign = new Set<string>()) {
  if (seen.has(file)) return { seen, foreign }
  seen.add(file)
  for (const specifier of importsOf(file)) {
    if (!specifier.startsWith('.')) foreign.add(specifier)
    else reach(normalize(join(dirname(file), specifier.replace(/\.[jt]s$/, ending))), ending, seen, foreign)
  }
  return { seen, foreign }
}

function reachOf(roots: readonly string[], ending: string) {
  const seen = new Set<string>()
  const foreign = new Set<string>()
  for (const file of roots) reach(normalize(file), ending, seen, foreign)
  return { seen, foreign }
}

test('holds what its entries lead to and what is to be read, and nothing else', () => {
  const modules = reachOf(
    entries.flatMap(({ development, default: standard }) => [development, standard]),
    '.js',
  )
  const { seen: declarations } = reachOf(
    entries.map(({ types }) => types),
    '.d.ts',
  )
  const documents = readdirSync(join(root, 'docs')).map((file) => join('docs', file))
  assert.equal(
    filesIn(installed),
    [
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'package.json',
      ...documents,
      ...[...modules.seen].flatMap((file) => [file, `${file}.map`]),
      ...declarations,
    ].toSorted(),
  )
})

test('asks for its peers, and for nothing that a stranger does not have', () => {
  const modules = reachOf(
    entries.map((entry) => entry.default),
    '.js',
  )
  const required = Object.keys(manifest.peerDependencies).filter((name) => !(name in manifest.peerDependenciesMeta))
  const foreignTo = ({ foreign }: { foreign: Set<string> }, known: readonly string[]) =>
    [...foreign].filter((name) => !name.startsWith('node:') && !known.includes(name))
  // imported when a url asks for one of them, and by no module that is loaded
  const optional = ['@mikro-orm/postgresql', '@mikro-orm/sqlite']
  assert.equal(foreignTo(modules, [...required, ...optional]), [])
  for (const file of modules.seen) {
    const loaded = readFileSync(join(installed, file), 'utf8').match(/\bfrom\s*['"][^'"\n]+['"]/g) ?? []
    assert.equal(
      loaded.filter((text) => optional.some((name) => text.includes(name))),
      [],
      file,
    )
  }
  const types = reachOf(
    entries.map((entry) => entry.types),
    '.d.ts',
  )
  // how tsc writes node:diagnostics_channel
  // and every driver of MikroORM's brings @mikro-orm/sql
  assert.equal(foreignTo(types, [...required, '@mikro-orm/sql', 'diagnostics_channel']), [])
  assert.ok(types.foreign.has('koa') && modules.foreign.has('@mikro-orm/core'))
})

test('publint finds nothing', async () => {
  const { messages } = await publint({ pkgDir: installed, level: 'suggestion', strict: true, pack: false })
  assert.equal(messages, [])
})

test('the types of the package fit its modules, wherever an ES module is imported or required', () => {
  // esm-only: TypeScript's oldest two ways to resolve know nothing of `exports`, or of require() for an ES module.
  const attw = join(root, 'node_modules/@arethetypeswrong/cli/dist/index.js')
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [attw, stranger().tarball, '--profile', 'esm-only', '--format', 'json', '--no-definitely-typed'],
    { cwd: home, encoding: 'utf8' },
  )
  assert.is(status, 0, stdout + stderr)
  const { analysis } = JSON.parse(stdout) as { analysis: { types: unknown; entrypoints: Record<string, unknown> } }
  assert.equal(analysis.types, { kind: 'included' })
  for (const { name } of entries) assert.ok(name.replace('koa-sqlassist', '.') in analysis.entrypoints, name)
})

test('every entry can be imported, and required, and is the same either way', () => {
  for (const { name } of entries) {
    const [names, same] = evaluate(`
      import { createRequire } from 'node:module'
      const imported = await import('${name}')
      const required = createRequire(import.meta.url)('${name}')
      const names = Object.keys(imported)
      console.log(JSON.stringify([names, names.every((name) => imported[name] === required[name])]))
    `) as [string[], boolean]
    assert.ok(names.length > 0, name)
    assert.ok(same, name)
  }
})

test('a CommonJS module can require every entry', () => {
  for (const { name } of entries) {
    const script = `process.exitCode = Object.keys(require('${name}')).length > 0 ? 0 : 1`
    execFileSync(process.execPath, ['--input-type=commonjs', '--eval', script], { cwd: home })
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
  const { seen, foreign } = reachOf(['dist/transaction/index.js'], '.js')
  assert.ok(seen.size > 1, 'the parts that entries share are files of their own')
  assert.equal(
    [...foreign].filter((name) => !name.startsWith('node:')),
    [],
  )
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
  const files = filesIn(join(installed, 'dist'))
  const withDebugLog = files.filter(
    (file) => file.endsWith('.js') && readFileSync(join(installed, 'dist', file), 'utf8').includes('debuglog'),
  )
  assert.ok(withDebugLog.length > 0)
  assert.ok(withDebugLog.every((file) => file.startsWith('development')))
})

test('every module has a source map that leads to sources which it holds itself', () => {
  for (const file of filesIn(installed).filter((name) => name.endsWith('.js'))) {
    const map = JSON.parse(readFileSync(join(installed, `${file}.map`), 'utf8')) as {
      sources: string[]
      sourcesContent?: string[]
    }
    assert.is(map.sourcesContent?.length ?? 0, map.sources.length, file)
  }
})

test('the consumer uses everything that an entry exports', () => {
  const consumer = readFileSync(new URL('consumer.ts', import.meta.url), 'utf8')
  // the line of a list that imports it does not count
  const used = consumer.replaceAll(/^import \{.*?^\} from '[^']+'$/gms, '')
  for (const { name } of entries) {
    const names = evaluate(`console.log(JSON.stringify(Object.keys(await import('${name}'))))`) as string[]
    assert.equal(
      names.filter((exported) => !new RegExp(`\\b${exported}\\b`).test(used)),
      [],
      `tests/package/consumer.ts does not use what ${name} exports`,
    )
  }
})

test('the consumer compiles against the declarations, whose refusals it expects, and runs', () => {
  copyFileSync(new URL('consumer.ts', import.meta.url), join(home, 'consumer.ts'))
  stranger().compile(['consumer.ts'])
  stranger().run(process.execPath, ['consumer.ts'])
})

test('the declarations compile without skipLibCheck, for a consumer and for every entry alone', () => {
  copyFileSync(new URL('consumer.ts', import.meta.url), join(home, 'consumer.ts'))
  writeFileSync(join(home, 'entries.ts'), entries.map(({ name }) => `import '${name}'\n`).join(''))
  for (const options of [
    ['--module', 'nodenext'],
    ['--module', 'esnext', '--moduleResolution', 'bundler'],
    ['--module', 'nodenext', '--target', 'es2024', '--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess'],
  ]) {
    assert.equal(stranger().complaints(['consumer.ts', 'entries.ts'], options), [], options.join(' '))
  }
})

test('the declarations compile without skipLibCheck with the newest types of Node too', () => {
  writeFileSync(join(home, 'entries.ts'), entries.map(({ name }) => `import '${name}'\n`).join(''))
  const types = join(home, 'node_modules/@types/node')
  const usual = readlinkSync(types)
  const put = (target: string): void => {
    unlinkSync(types)
    symlinkSync(target, types)
  }
  put(dirname(fileURLToPath(import.meta.resolve('node-types-newest/package.json'))))
  try {
    // Else @types/koa would bring the other ones.
    assert.equal(stranger().complaints(['entries.ts'], ['--module', 'nodenext', '--preserveSymlinks']), [])
  } finally {
    put(usual)
  }
})

test.run()
