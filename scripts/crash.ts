/**
 * A bank over two PostgreSQL servers and a SQLite file, whose processes, servers and connections are killed at random
 * moments and at every step of the commit: `node scripts/crash.ts [--rounds N] [--seed S]`.
 *
 * After each round it recovers and checks that no money was made or lost, that every acknowledged transfer is in all its
 * databases and every other one in all or none, and that nothing stays prepared or locked. The last line is JSON; the exit
 * code is 1 when anything was wrong or stayed in doubt. Also: `--workers N`, `--only TEXT` (plans with this in their name,
 * such as "worker at decide"), `--trace` (the messages of a round that went wrong), and `--broken decision-first`, a
 * protocol made wrong on purpose, which has to be caught.
 */
import process from 'node:process'
import { parseArgs } from 'node:util'
import { BREAKAGES } from './crash/breakages.ts'
import { run } from './crash/run.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '200' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 32)) },
    workers: { type: 'string', default: '3' },
    only: { type: 'string', default: '' },
    trace: { type: 'boolean', default: false },
    broken: { type: 'string' },
  },
})
const [rounds, seed, workers] = [Number(values.rounds), Number(values.seed), Number(values.workers)]
const breakage = values.broken === undefined ? undefined : BREAKAGES[values.broken]
if (![rounds, seed, workers].every((number) => Number.isInteger(number)) || (values.broken && breakage === undefined)) {
  process.stderr.write(
    'usage: node scripts/crash.ts [--rounds N] [--seed S] [--workers N] [--only TEXT] [--trace] [--broken decision-first]\n',
  )
  process.exit(2)
}
for (const [signal, code] of [['SIGINT', 130] as const, ['SIGTERM', 143] as const, ['SIGHUP', 129] as const]) {
  // What has to be stopped and removed hangs on 'exit'.
  process.on(signal, () => process.exit(code))
}

process.stderr.write(`seed ${seed}\n`)
const result = await run({ rounds, seed, workers, only: values.only, trace: values.trace, breakage })
process.stdout.write(`${JSON.stringify(result)}\n`)
process.exit(result.violations + result.leftInDoubt > 0 ? 1 : 0)
