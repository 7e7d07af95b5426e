/**
 * Whether this library costs less than what one would write by hand: Koa servers in processes of their own, over the same
 * databases, take turns under the same load. `npm run bench -- --help` lists the options.
 *
 * For each server and work: requests a second, CPU time of the server's process for a request (the better figure: the
 * load, PostgreSQL and the server share the machine), the 99th percentile, and how many answers of PostgreSQL a request
 * waits for. The last line is JSON.
 */
import { execFileSync } from 'node:child_process'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { fileURLToPath } from 'node:url'
import process from 'node:process'
import { closeSharedResources } from '../../tests/support/shared-resources.ts'
import { takeBaseline } from './baseline.ts'
import { Comparison } from './compare.ts'
import { readOptions } from './options.ts'
import { profileEach } from './profile.ts'
import { SERVERS } from './servers.ts'
import { setStage } from './stage.ts'
import { versions } from './versions.ts'

const options = readOptions(process.argv.slice(2))
// What is measured is what is published, and never an old one.
execFileSync(process.execPath, [fileURLToPath(new URL('../build.ts', import.meta.url)), '--javascript-only'])
if (options.baseline !== undefined) takeBaseline(options.baseline)

const print = (text: string): void => void process.stdout.write(text)
const stage = await setStage(options.fsync)
try {
  for (const name of options.servers) print(`${name.padEnd(20)} ${SERVERS[name]!.means}\n`)
  if (options.profile) await profileEach(stage, options, print)
  else await compare()
} finally {
  await stage.close()
  await closeSharedResources()
}

async function compare(): Promise<void> {
  const from = performance.now()
  const machine = { cpus: availableParallelism(), model: cpus()[0]?.model.trim(), loadAverageBefore: loadavg()[0] }
  print(`\n${machine.cpus} processors (${machine.model}), load average before the start ${machine.loadAverageBefore}\n`)
  print(`PostgreSQL: ${JSON.stringify(stage.settings)}\n`)
  const compared = await new Comparison(stage, options, print).run()
  const summary = {
    ...compared,
    options,
    seconds: Math.round((performance.now() - from) / 1000),
    machine: { ...machine, loadAverageAfter: loadavg()[0] },
    versions: versions(),
    postgres: stage.settings,
  }
  print(`\n${JSON.stringify(summary)}\n`)
}
