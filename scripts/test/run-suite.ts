import { guarded } from './guard.ts'
import type { NamedTest, Suite } from './suites.ts'

export interface Failure {
  readonly title: string
  readonly error: Error
}

export interface SuiteResult {
  readonly passed: number
  /** Tests that failed or did not run; a failed `after` hook counts as one more. */
  readonly failed: number
  readonly failures: readonly Failure[]
}

export async function runSuite(suite: Suite): Promise<SuiteResult> {
  const failures: Failure[] = []
  const tests = suite.only.length > 0 ? suite.only : suite.tests
  const attempt = async (title: string, work: () => unknown): Promise<boolean> => {
    try {
      await guarded(work)
      return true
    } catch (error) {
      failures.push({ title: [suite.name, title].filter(Boolean).join(' › '), error: error as Error })
      return false
    }
  }
  const inTurn = async (title: string, handlers: Suite['before']): Promise<boolean> => {
    for (const handler of handlers) {
      if (!(await attempt(title, () => handler(suite.state as never)))) return false
    }
    return true
  }
  /** All hooks after a test run, also after a failed one. */
  const runTest = async ({ title, handler }: NamedTest): Promise<boolean> => {
    suite.state.__test__ = title
    let well = (await inTurn(`${title} (before each)`, suite.beforeEach)) && (await inTurn(title, [handler]))
    for (const after of suite.afterEach) well = (await inTurn(`${title} (after each)`, [after])) && well
    return well
  }

  let passed = 0
  const ready = await inTurn(`before hook: ${tests.length} tests did not run`, suite.before)
  if (ready) for (const test of tests) passed += Number(await runTest(test))
  suite.state.__test__ = ''
  let failed = tests.length - passed
  for (const after of suite.after) failed += Number(!(await inTurn('after hook', [after])))

  for (const complaint of complaintsAbout(suite)) {
    failures.push({ title: suite.name || 'a suite', error: withoutStack(complaint) })
    failed += 1
  }
  return { passed, failed, failures }
}

/** Green without having tested anything: that is no pass here. */
function complaintsAbout(suite: Suite): string[] {
  return [
    ...suite.skipped.map((title) => `"${title}" is skipped; nothing is skipped here`),
    ...(suite.only.length > 0
      ? [`only ${suite.only.length} of its ${suite.tests.length + suite.only.length} tests ran: .only`]
      : []),
    ...(suite.tests.length + suite.only.length === 0 ? ['has no tests'] : []),
  ]
}

export function withoutStack(message: string): Error {
  const error = new Error(message)
  error.stack = ''
  return error
}
