/**
 * The `suite` of every test file: uvu's own under uvu's command or where a file is run alone. scripts/test.ts gives a
 * stricter one before it imports a file.
 */
import * as uvu from 'uvu'
import { closeSharedResources } from './shared-resources.ts'

export type { Test } from 'uvu'

let make: typeof uvu.suite = closingSuite
let waiting = 0

/** Gives test files that are imported from here on their suites. */
export function useSuites(maker: typeof uvu.suite): void {
  make = maker
}

export const suite: typeof uvu.suite = (title, state) => make(title, state)

/** A suite of uvu's. uvu calls nothing at the end of a run, so the last suite closes what all of them share. */
function closingSuite<T>(title?: string, state?: T): uvu.Test<T> {
  const test = uvu.suite(title, state)
  const { run } = test
  return Object.assign(test, {
    run() {
      waiting += 1
      test.after(async () => {
        waiting -= 1
        if (waiting === 0) await closeSharedResources()
      })
      run()
    },
  })
}
