/**
 * Runs the library's own tests in a sandbox of koa-sqlassist/testing: `node scripts/sandboxed.ts [part of a path ...]`, by
 * default those of tests/koa.
 *
 * Every registry is in a sandbox from its first session on, and what a second connection sees is what the sandbox holds. What a
 * sandbox cannot show is in scripts/sandboxed/exceptions.ts, each test with its reason. These run alone, as most of them hang. The
 * exit code is 1 when a test fails that is not there, and when one that is there passes.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'
import { text } from 'node:stream/consumers'
import { EXCEPTIONS } from './sandboxed/exceptions.ts'
import { CHOICE, type Choice } from './sandboxed/suite.ts'
import { testFiles } from './test/files.ts'

/** How long until a test that is expected to fail counts as hanging. */
const PATIENCE_MS = 8000
const HOOKS = new URL('sandboxed/hooks.ts', import.meta.url).href
const RUNNER = new URL('test.ts', import.meta.url).pathname
/** What the runner says when no test was chosen. */
const NONE = 'registers no suite'

interface Run {
  readonly passed: number
  readonly output: string
  readonly isGreen: boolean
}

const parts = process.argv.slice(2)
const files = await testFiles(parts.length > 0 ? parts : ['tests/koa/'])
const rows: string[] = []
const complaints: string[] = []
let passed = 0
for (const file of files) rows.push(await rowOf(file))

const listed = EXCEPTIONS.filter(({ file }) => files.includes(file))
const reasons = Map.groupBy(listed, ({ reason }) => reason)
process.stdout.write(`\n| file | passed | cannot pass |\n| --- | --: | --: |\n${rows.join('')}`)
process.stdout.write('\n| cannot pass | because it |\n| --: | --- |\n')
for (const [reason, of] of reasons)
  process.stdout.write(`| ${of.reduce((sum, { tests }) => sum + tests.length, 0)} | ${reason} |\n`)
for (const complaint of complaints) process.stdout.write(`\n${complaint}\n`)
process.stdout.write(`\n${passed} passed, ${complaints.length} complaints\n`)
process.exit(complaints.length > 0 || files.length === 0 ? 1 : 0)

async function rowOf(file: string): Promise<string> {
  const exceptions = EXCEPTIONS.filter((each) => each.file === file).flatMap(({ tests }) => tests)
  const main = await run(file, { without: exceptions })
  const isEmpty = exceptions.length > 0 && main.output.includes(NONE)
  if (!main.isGreen && !isEmpty) complaints.push(main.output)
  for (const only of exceptions) {
    const { isGreen, output } = await run(file, { only }, { KOA_SQLASSIST_TEST_LIMIT_MS: String(PATIENCE_MS) })
    if (isGreen) complaints.push(`${file} › ${only}\n    passes, and is among scripts/sandboxed/exceptions.ts`)
    if (output.includes(NONE))
      complaints.push(`${file} › ${only}\n    is among scripts/sandboxed/exceptions.ts, and not there`)
  }
  passed += main.passed
  process.stderr.write(`${file}: ${main.passed} passed\n`)
  return `| ${file} | ${main.passed} | ${exceptions.length} |\n`
}

/** Runs some tests of a file in a process of their own: one that hangs holds the sandbox of those behind it. */
async function run(file: string, choice: Choice, environment: NodeJS.ProcessEnv = {}): Promise<Run> {
  const runner = spawn(process.execPath, ['--import', HOOKS, RUNNER, file], {
    env: { ...process.env, ...environment, [CHOICE]: JSON.stringify(choice) },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [output, [code]] = await Promise.all([text(runner.stdout), once(runner, 'exit')])
  const [, count = '0'] = /^(\d+) passed, \d+ failed$/m.exec(output) ?? []
  return { passed: Number(count), output, isGreen: code === 0 }
}
