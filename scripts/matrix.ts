/**
 * Runs the tests that concern a version on the versions that the package allows, and prints the table of docs/compatibility.md:
 * `node scripts/matrix.ts [part of a row's name ...]`. Node, Koa, MikroORM and PostgreSQL come from npm; a PostgreSQL that
 * speaks German and PgBouncer from Debian, by apt-get where root runs it. What cannot be had is named. The exit code is 1
 * when a row failed or could not be run.
 */
import process from 'node:process'
import { Checkouts, type Run } from './matrix/checkouts.ts'
import { rows, type Row } from './matrix/rows.ts'

interface Line {
  readonly row: Row
  /** What came of it, as in the table. */
  readonly result: string
  readonly hasPassed: boolean
}

const parts = process.argv.slice(2)
const wanted = rows().filter(({ name }) => parts.length === 0 || parts.some((part) => name.includes(part)))
if (wanted.length === 0) {
  process.stderr.write(
    `no row is named so; there are: ${rows()
      .map(({ name }) => name)
      .join(', ')}\n`,
  )
  process.exit(2)
}

const checkouts = await Checkouts.open()
const lines: Line[] = []
try {
  for (const row of wanted) {
    process.stderr.write(`${row.name} ...\n`)
    const line = await lineOf(row)
    lines.push(line)
    process.stderr.write(`${row.name}: ${line.result}\n`)
  }
} finally {
  await checkouts.close()
}
process.stdout.write('| | tests of | result |\n| --- | --- | --- |\n')
for (const { row, result } of lines) process.stdout.write(`| ${row.name} | ${row.concerns} | ${result} |\n`)
process.exitCode = lines.every(({ hasPassed }) => hasPassed) ? 0 : 1

async function lineOf(row: Row): Promise<Line> {
  try {
    const { passed, failed, output, code } = await row.run(checkouts)
    const hasPassed = code === 0 && failed === 0 && passed > 0
    if (!hasPassed) process.stderr.write(`${output}\n`)
    return { row, hasPassed, result: resultOf({ passed, failed, code }) }
  } catch (error) {
    return { row, hasPassed: false, result: `not run: ${(error as Error).message.split('\n', 1)[0]}` }
  }
}

function resultOf({ passed, failed, code }: Pick<Run, 'passed' | 'failed' | 'code'>): string {
  if (failed > 0) return `${passed} passed, ${failed} failed`
  return code === 0 ? `${passed} passed` : `${passed} passed, exit code ${code}`
}
