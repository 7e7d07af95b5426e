/**
 * Writes docs/api.md from the docstrings of what dist/ exports, and counts them: `npm run docs`. An export, a member or an
 * option that has none fails it.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { documentedEntries } from './api/documented-entries.ts'
import { missing } from './api/missing.ts'
import { render } from './api/render.ts'

const root = join(import.meta.dirname, '..')
const documented = await documentedEntries(root)

let failures = 0
for (const { name, exports } of documented) {
  const lacking = missing(exports)
  failures += lacking.length
  const members = exports.reduce((sum, each) => sum + each.members.length, 0)
  process.stdout.write(`${name}: ${exports.length} exports, ${members} members, ${lacking.length} without\n`)
  for (const line of lacking) process.stdout.write(`  ${line}\n`)
}
await writeFile(join(root, 'docs/api.md'), render(documented))
process.exitCode = failures > 0 ? 1 : 0
