import { existsSync } from 'node:fs'
import { glob } from 'node:fs/promises'

/** All test files, or those whose path holds one of `parts`. A part that is a file is one under any name. */
export async function testFiles(parts: readonly string[] = []): Promise<string[]> {
  const found = await Array.fromAsync(glob('{tests,example-koa}/**/*.test.ts', { exclude: ['**/node_modules/**'] }))
  const given = parts.filter((part) => part.endsWith('.ts') && existsSync(part))
  const matching = found.filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)))
  return [...new Set([...matching, ...given])].toSorted()
}
