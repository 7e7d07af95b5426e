import process from 'node:process'
import { suite as unchanged, type Test } from '../../tests/support/suite.ts'

export * from '../../tests/support/suite.ts'

/** `only` one test, named as scripts/test.ts names it, or all `without` some. */
export interface Choice {
  readonly only?: string
  readonly without?: readonly string[]
}

export const CHOICE = 'KOA_SQLASSIST_SANDBOXED'
const { only, without = [] } = JSON.parse(process.env[CHOICE] ?? '{}') as Choice

/** A suite of the tests that are chosen, if there are any. */
export const suite: typeof unchanged = (title, state) => {
  const test = unchanged(title, state)
  let hasTests = false
  const chosen: Test<any> = Object.assign(
    (...[name, handler]: Parameters<Test<any>>) => {
      const full = [title, name].filter(Boolean).join(' › ')
      if (only === undefined ? without.includes(full) : only !== full) return
      hasTests = true
      test(name, handler)
    },
    test,
    { run: () => (hasTests ? test.run() : undefined) },
  )
  return chosen
}
