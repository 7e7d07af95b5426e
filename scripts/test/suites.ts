/**
 * The suites of tests/support/suite.ts under scripts/test.ts: uvu's interface, with the tests kept as data for
 * scripts/test/run-suite.ts. uvu's runner swallows the error of a `before` hook, loses a test's error when a hook after it
 * fails too, waits for ever for a test that hangs, and keeps its results to itself.
 */
import type { Callback, Test } from 'uvu'

type Handler = (state: never) => unknown

export interface NamedTest {
  readonly title: string
  readonly handler: Handler
}

export interface Suite {
  readonly name: string
  readonly state: { __suite__: string; __test__: string }
  tests: NamedTest[]
  only: NamedTest[]
  skipped: string[]
  before: Handler[]
  after: Handler[]
  beforeEach: Handler[]
  afterEach: Handler[]
}

const queue: Suite[] = []

/** The suites whose run() was called since the last time. */
export function takeSuites(): Suite[] {
  return queue.splice(0)
}

export function strictSuite<T = Record<string, unknown>>(name = '', state: T = {} as T): Test<T> {
  const full = Object.assign(state as object, { __suite__: name, __test__: '' })
  let current = emptySuite(name, full)
  const register = (title: string, handler: Callback<T>) => void current.tests.push({ title, handler })
  return Object.assign(register, {
    only: (title: string, handler: Callback<T>) => void current.only.push({ title, handler }),
    skip: (title = '') => void current.skipped.push(title),
    before: hook<T>(
      (handler) => current.before.push(handler),
      (handler) => current.beforeEach.push(handler),
    ),
    after: hook<T>(
      (handler) => current.after.push(handler),
      (handler) => current.afterEach.push(handler),
    ),
    run() {
      queue.push(current)
      current = emptySuite(name, full)
    },
  })
}

function hook<T>(once: (handler: Callback<T>) => void, each: (handler: Callback<T>) => void) {
  return Object.assign(once, { each })
}

function emptySuite(name: string, state: Suite['state']): Suite {
  return { name, state, tests: [], only: [], skipped: [], before: [], after: [], beforeEach: [], afterEach: [] }
}
