/**
 * Runs all tests in two processes of scripts/test.ts at once: the tests that start programs, and the rest.
 * The line with the counts of both comes last.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { testFiles } from './test/files.ts'

/** About half of the time goes into them. */
const STARTS_PROGRAMS = /^(?:example-koa|tests\/(?:bench|crash|debug\/browser|docs|package|support|truth))\b/

const files = await testFiles()
const halves = Object.values(Object.groupBy(files, (file) => String(STARTS_PROGRAMS.test(file)))) as string[][]
const counted = await Promise.all(halves.map(run))
const passed = counted.reduce((sum, each) => sum + each.passed, 0)
const failed = counted.reduce((sum, each) => sum + each.failed, 0)
process.stdout.write(`\n${passed} passed, ${failed} failed\n`)
process.exitCode = failed > 0 ? 1 : 0

async function run(half: readonly string[]): Promise<{ passed: number; failed: number }> {
  const child = spawn(process.execPath, ['scripts/test.ts', ...half], { stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = once(child, 'close')
  let counts = { passed: 0, failed: 0 }
  for await (const line of createInterface({ input: child.stdout })) {
    const [, own, bad] = /^(\d+) passed, (\d+) failed$/.exec(line) ?? []
    if (own && bad) counts = { passed: Number(own), failed: Number(bad) }
    else process.stdout.write(`${line}\n`)
  }
  const [code] = await closed
  return code !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts
}
