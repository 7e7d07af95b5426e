/**
 * Random programs over real databases, and what the library answered beside what is stored: `node scripts/truth.ts
 * [--programs N] [--seed S] [--database postgresql|sqlite|both]`.
 *
 * Each program is a handler of some steps over one to three roles, run over HTTP/1, HTTP/2 or by `registry.run`. An oracle
 * knows what may be stored, given what each caller got. What lies is shown, made smaller, and shown again. The last line
 * is JSON; the exit code is 1 when anything lied. `--only K` repeats one program; `--show N` shows that many of each kind;
 * `--patience MS` is how long until what does not answer counts as hanging; `--break NAME` makes the library wrong on
 * purpose, which has to be caught.
 */
import process from 'node:process'
import { parseArgs } from 'node:util'
import { BREAKAGES } from './truth/breakages.ts'
import type { Databases } from './truth/program.ts'
import { run } from './truth/run.ts'

const { values } = parseArgs({
  options: {
    programs: { type: 'string', default: '1000' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 32)) },
    database: { type: 'string', default: 'both' },
    only: { type: 'string' },
    patience: { type: 'string', default: '20000' },
    show: { type: 'string', default: '2' },
    break: { type: 'string' },
  },
})
const numbers = [values.programs, values.seed, values.patience, values.show, values.only ?? '0'].map(Number)
const [programs, seed, patienceMs, shown, only] = numbers as [number, number, number, number, number]
const breakage = values.break === undefined ? undefined : BREAKAGES[values.break]
const isWrong = !numbers.every((number) => Number.isInteger(number)) || (values.break && breakage === undefined)
if (isWrong || !['postgresql', 'sqlite', 'both'].includes(values.database)) {
  process.stderr.write(
    'usage: node scripts/truth.ts [--programs N] [--seed S] [--database postgresql|sqlite|both] [--only K] ' +
      `[--show N] [--patience MS] [--break ${Object.keys(BREAKAGES).join('|')}]\n`,
  )
  process.exit(2)
}
for (const [signal, code] of [['SIGINT', 130] as const, ['SIGTERM', 143] as const, ['SIGHUP', 129] as const]) {
  // What has to be stopped and removed hangs on 'exit'.
  process.on(signal, () => process.exit(code))
}
// Thousands of programs that do what one is warned of.
process.removeAllListeners('warning')
breakage?.()

process.stderr.write(`seed ${seed}\n`)
const result = await run({
  programs,
  seed,
  databases: values.database as Databases,
  only: values.only === undefined ? undefined : only,
  patienceMs,
  shown,
  words: values.break === undefined ? '' : ` --break ${values.break}`,
})
process.stdout.write(`${JSON.stringify(result)}\n`)
process.exit(Object.keys(result.lies).length > 0 ? 1 : 0)
