/**
 * Runs the tests under c8 and checks the coverage of source/: `node scripts/coverage.ts [part of a path ...]`.
 * The line with the counts comes last, after the coverage; too little coverage fails a run that failed nowhere else.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { transform } from 'esbuild'

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
const child = spawn(process.execPath, [c8, ...options, process.execPath, 'scripts/test.ts', ...only], {
  stdio: ['ignore', 'pipe', 'inherit'],
})
const closed = new Promise<number>((resolve) => child.once('close', (status) => resolve(status ?? 1)))

let counts: { passed: string; failed: string } | undefined
for await (const line of createInterface({ input: child.stdout })) {
  const [, passed, failed] = /^(\d+) passed, (\d+) failed$/.exec(line) ?? []
  if (passed && failed) counts = { passed, failed }
  else process.stdout.write(`${line}\n`)
}
const code = await closed
await rm(folder, { recursive: true, force: true })

const { passed = '0', failed = '1' } = counts ?? {}
process.stdout.write(`\n${passed} passed, ${code !== 0 && failed === '0' ? 1 : failed} failed\n`)
process.exitCode = code

/** Files of types and prose alone: nothing of them is ever loaded, and they have no line to cover. */
async function typeOnlyFiles(): Promise<string[]> {
  const names = await readdir('source', { recursive: true })
  const files = names.filter((name) => name.endsWith('.ts')).map((name) => join('source', name))
  const compiled = await Promise.all(
    files.map(async (file) => transform(await readFile(file, 'utf8'), { loader: 'ts' })),
  )
  return files.filter((_, index) => compiled[index]?.code.trim() === '')
}
