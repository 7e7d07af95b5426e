/**
 * Plays scenarios against the transaction core and compares the traces with those of Zope's own package:
 * `node scripts/conformance.ts FILE.jsonl`.
 *
 * The last line is `equal N, skipped N, different N`. Exits 1 if any differs, 2 if the file cannot be read or asks for
 * something that is not in the format. What is skipped, and why: tests/conformance/refusals.ts.
 */
import process from 'node:process'
import { expectedWarnings, withoutWarnings } from '../tests/conformance/quiet.ts'
import { type RefusedFeature, refusedFeatures } from '../tests/conformance/refusals.ts'
import { readScenarios } from '../tests/conformance/scenario.ts'
import { sideBySide } from '../tests/conformance/side-by-side.ts'
import { judge } from '../tests/conformance/verdict.ts'

const shown = 5

async function main(file: string): Promise<number> {
  const counts = { equal: 0, skipped: 0, different: 0 }
  const skipped = new Map<RefusedFeature, number>()
  for (const scenario of await readScenarios(file)) {
    const verdict = await judge(scenario)
    counts[verdict.is]++
    if (verdict.is === 'skipped') skipped.set(verdict.feature, (skipped.get(verdict.feature) ?? 0) + 1)
    if (verdict.is === 'different' && counts.different <= shown) print(sideBySide(scenario, verdict.trace, verdict.why))
  }
  if (counts.different > shown) print(`... and ${counts.different - shown} more that differ\n`)
  for (const [feature, count] of skipped) print(`skipped ${count} for ${feature}: ${refusedFeatures[feature]}`)
  print(`equal ${counts.equal}, skipped ${counts.skipped}, different ${counts.different}`)
  return counts.different > 0 ? 1 : 0
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

const [file, ...more] = process.argv.slice(2)
try {
  if (file === undefined || more.length > 0) throw new Error('one file is needed')
  process.exitCode = await withoutWarnings(expectedWarnings, () => main(file))
} catch (error) {
  process.stderr.write(`${(error as Error).message}\nusage: node scripts/conformance.ts FILE.jsonl\n`)
  process.exitCode = 2
}
