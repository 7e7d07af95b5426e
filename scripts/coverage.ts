/**
 * Runs all tests, and checks the coverage of source/: `node scripts/coverage.ts [part of a path ...]`. Those that call source/
 * in their own process run under c8, and at the same time the others without it: these wait for programs mostly. The line with the
 * counts comes last; too little coverage fails a run that failed nowhere else.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { transform } from 'esbuild'
import { hasCoverage, testFiles } from './test/files.ts'

interface Counts {
  readonly passed: number
  readonly failed: number
}

const LINES = 98
const BRANCHES = 95
const only = process.argv.slice(2)
const folder = await mkdtemp(join(tmpdir(), 'koa-sqlassist-coverage-'))

const options = [
  `--temp-directory=${folder}`,
  '--reporter=text',
  '--skip-full',
  // a file that no test loads counts with all its lines
  '--all',
  '--src=source',
  '--include=source/**/*.ts',
  ...(await typeOnlyFiles()).map((file) => `--exclude=${file}`),
]
// a part of the tests covers a part of the sources
if (only.length === 0) options.push('--check-coverage', `--lines=${LINES}`, `--branches=${BRANCHES}`)

const c8 = createRequire(import.meta.url).resolve('c8/bin/c8.js')
const tests = await testFiles(only)
const [covered, others] = await Promise.all([
  run([c8, ...options, process.execPath], tests.filter(hasCoverage)),
  run(
    [],
    tests.filter((file) => !hasCoverage(file)),
  ),
])
const total = add(covered, others)
await rm(folder, { recursive: true, force: true })
if (tests.length === 0) process.stderr.write(`no test file matches ${only.join(' ')}\n`)

process.stdout.write(`\n${total.passed} passed, ${total.failed} failed\n`)
process.exitCode = total.failed > 0 || tests.length === 0 ? 1 : 0

/** Runs test files in a process of their own, and counts a failure where it ends badly with none. */
async function run(before: readonly string[], those: readonly string[]): Promise<Counts> {
  if (those.length === 0) return { passed: 0, failed: 0 }
  const child = spawn(process.execPath, [...before, 'scripts/test.ts', ...those], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const closed = new Promise<number>((resolve) => child.once('close', (status) => resolve(status ?? 1)))
  let counts: Counts = { passed: 0, failed: 0 }
  for await (const line of createInterface({ input: child.stdout })) {
    const [, passed, failed] = /^(\d+) passed, (\d+) failed$/.exec(line) ?? []
    if (passed && failed) counts = { passed: Number(passed), failed: Number(failed) }
    else process.stdout.write(`${line}\n`)
  }
  return (await closed) === 0 ? counts : { ...counts, failed: Math.max(counts.failed, 1) }
}

function add(one: Counts, other: Counts): Counts {
  return { passed: one.passed + other.passed, failed: one.failed + other.failed }
}

/** Files of types and prose alone: nothing of them is ever loaded, and they have no line to cover. */
async function typeOnlyFiles(): Promise<string[]> {
  const names = await readdir('source', { recursive: true })
  const files = names.filter((name) => name.endsWith('.ts')).map((name) => join('source', name))
  const compiled = await Promise.all(
    files.map(async (file) => transform(await readFile(file, 'utf8'), { loader: 'ts' })),
  )
  return files.filter((_, index) => compiled[index]?.code.trim() === '')
}
