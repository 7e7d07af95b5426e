/**
 * Runs the uvu suites under tests/ and example-koa/ in one process: `node scripts/test.ts [part of a path ...]`. An argument
 * that is a file runs that file under any name.
 *
 * Beyond a failing test, each of these fails the run: a file that forgot `test.run()`, a failing hook, a skipped test, an
 * empty suite, an uncaught error, a test that hangs, and a handle that keeps the process alive at the end.
 */
import { registerHooks } from 'node:module'
import { resolve } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { obstacleToServer } from '../tests/support/reachable-binaries.ts'
import { closeSharedResources } from '../tests/support/shared-resources.ts'
import { stranger } from '../tests/support/stranger.ts'
import { useSuites } from '../tests/support/suite.ts'
import { testFiles } from './test/files.ts'
import { guarded, installGuard, takeStray } from './test/guard.ts'
import { describeFailure } from './test/report.ts'
import { runSuite, withoutStack, type Failure, type SuiteResult } from './test/run-suite.ts'
import { strictSuite, takeSuites } from './test/suites.ts'
import { useFastTemporaryFolder } from './test/temporary-folder.ts'

const example = new URL('../example-koa/', import.meta.url).href
registerHooks({
  resolve(specifier, context, next) {
    // the example is tried with the package as it is packed
    const isOwn = specifier.startsWith('koa-sqlassist') && context.parentURL?.startsWith(example) === true
    return next(specifier, isOwn ? { ...context, parentURL: pathToFileURL(stranger().tarball).href } : context)
  },
})
useFastTemporaryFolder()
// No proxy leads to the servers of the tests.
for (const name of ['NO_PROXY', 'no_proxy'])
  process.env[name] = [process.env[name], '127.0.0.1', 'localhost'].filter(Boolean).join()
const obstacle = obstacleToServer()
if (obstacle !== undefined) {
  process.stderr.write(`${obstacle}\n`)
  process.exit(1)
}
useSuites(strictSuite)
// Processes that tests start would each leave the coverage of all that they load.
delete process.env['NODE_V8_COVERAGE']
installGuard()
const warnings = collectWarnings()
const openBefore = openHandles()

const wanted = process.argv.slice(2)
const files = await testFiles(wanted)
const reports: string[] = []
let passed = 0
let failed = 0

if (files.length === 0)
  fail('scripts/test.ts', [{ title: '', error: withoutStack(`no test file matches ${wanted.join(' ')}`) }])
for (const file of files) {
  const from = performance.now()
  const result = await runFile(file)
  passed += result.passed
  fail(file, result.failures, result.failed)
  const counts = `${result.passed} passed${result.failed > 0 ? `, ${result.failed} FAILED` : ''}`
  process.stdout.write(`${file}  ${counts}  ${((performance.now() - from) / 1000).toFixed(1)} s\n`)
}

const endings: Failure[] = []
for (const work of [() => guarded(closeSharedResources), nothingOpen]) {
  await work().catch((error: Error) => endings.push({ title: 'the end of the run', error }))
}
fail('scripts/test.ts', endings)

for (const text of [...warnings, ...reports]) process.stdout.write(`\n${text}\n`)
process.stdout.write(`\n${passed} passed, ${failed} failed\n`)
// not left to an exit code: what is still open would keep the process, and a stray `beforeExit` hook could end it with 0
process.exit(failed > 0 ? 1 : 0)

async function runFile(file: string): Promise<SuiteResult> {
  const results: SuiteResult[] = []
  try {
    await guarded(() => import(pathToFileURL(resolve(file)).href))
    const registered = takeSuites()
    if (registered.length === 0) throw withoutStack('registers no suite: does it end with test.run()?')
    for (const suite of registered) results.push(await runSuite(suite))
  } catch (error) {
    takeSuites()
    results.push(failure('', error as Error))
  }
  results.push(...takeStray().map((error) => failure('after its tests', error)))
  return {
    passed: results.reduce((sum, result) => sum + result.passed, 0),
    failed: results.reduce((sum, result) => sum + result.failed, 0),
    failures: results.flatMap((result) => result.failures),
  }
}

function failure(title: string, error: Error): SuiteResult {
  return { passed: 0, failed: 1, failures: [{ title, error }] }
}

function fail(file: string, failures: readonly Failure[], count = failures.length): void {
  failed += count
  reports.push(...failures.map((each) => describeFailure(file, each)))
}

/** A warning that a test listens for is its own business; every other one is shown. */
function collectWarnings(): Set<string> {
  const shown = new Set<string>()
  process.removeAllListeners('warning')
  process.on('warning', (warning) => {
    if (process.listenerCount('warning') === 1) shown.add(`Warning: ${warning.stack ?? warning.message}`)
  })
  return shown
}

/** How many handles of each kind keep the process alive. */
function openHandles(): Map<string, number> {
  const counts = new Map<string, number>()
  for (const kind of process.getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  return counts
}

/** Waits until no handle is left over: handles close a little after their `close()`. */
async function nothingOpen(): Promise<void> {
  let left: string[] = []
  for (let attempts = 0; attempts < 200; attempts += 1) {
    left = [...openHandles()]
      .filter(([kind, count]) => count > (openBefore.get(kind) ?? 0))
      .map(([kind, count]) => `${count} ${kind}`)
    left = left.filter((text) => !text.endsWith('FSReqCallback'))
    if (left.length === 0) return
    await sleep(10)
  }
  throw withoutStack(`left open, which keeps the process alive: ${left.join(', ')}`)
}
