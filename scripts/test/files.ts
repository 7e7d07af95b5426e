import { existsSync } from 'node:fs'
import { glob } from 'node:fs/promises'

/** All test files, or those whose path holds one of `parts`. A part that is a file is one under any name. */
export async function testFiles(parts: readonly string[] = []): Promise<string[]> {
  const found = await Array.fromAsync(glob('{tests,example-koa}/**/*.test.ts', { exclude: ['**/node_modules/**'] }))
  const given = parts.filter((part) => part.endsWith('.ts') && existsSync(part))
  const matching = found.filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)))
  return [...new Set([...matching, ...given])].toSorted()
}

/** Those that look at programs, pages and the packed package: what runs of source/ in their own process runs elsewhere too. */
const FROM_OUTSIDE = [
  'example-koa/',
  'tests/bench/',
  'tests/crash/',
  'tests/debug/accessibility.test.ts',
  'tests/debug/browser.test.ts',
  'tests/docs/',
  'tests/package/',
  'tests/support/',
  'tests/testing/runners/',
  'tests/truth/',
]

/** Whether a test file counts for the coverage of source/. */
export function hasCoverage(file: string): boolean {
  return !FROM_OUTSIDE.some((start) => file.startsWith(start))
}
