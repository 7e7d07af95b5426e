/** CPU profiles of servers under the same load as in a comparison. */
import type { Profiler } from 'node:inspector'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { LoadResult } from './load.ts'
import type { Options } from './options.ts'
import { pathsOf } from './paths.ts'
import { profileTable, summarize } from './profile-summary.ts'
import { startServer } from './running-server.ts'
import { SERVERS, worksOf } from './servers.ts'
import type { Stage } from './stage.ts'
import { SHAPES, type Work } from './works.ts'

/** For each database, server and work that was asked for; `keep` is a folder for what DevTools reads. */
export async function profileEach(stage: Stage, options: Options, print: (text: string) => void): Promise<void> {
  for (const database of options.databases) {
    for (const name of options.servers) {
      for (const work of worksOf(SERVERS[name]!, database, options.works)) {
        const { targets } = stage.places[database]
        const { profile, requests } = await profileOne(name, work, { targets, load: stage.load, options })
        print(`\n${name}, ${work}, ${database}: ${requests} requests\n${profileTable(summarize(profile, requests))}`)
        if (options.keep === undefined) continue
        await mkdir(options.keep, { recursive: true })
        const file = join(options.keep, `${name}-${work}-${database}.cpuprofile`)
        await writeFile(file, JSON.stringify(profile))
        print(`  ${file}\n`)
      }
    }
  }
}

interface Surroundings {
  readonly targets: Stage['places']['sqlite']['targets']
  readonly load: Stage['load']
  readonly options: Options
}

async function profileOne(
  name: string,
  work: Work,
  { targets, load, options: { connections, seconds, rounds } }: Surroundings,
): Promise<{ readonly profile: Profiler.Profile; readonly requests: number }> {
  const server = await startServer(name, targets)
  try {
    const { method, status } = SHAPES[work]
    const request = { port: server.port, method, status, paths: pathsOf(work, connections, `profile-${name}`) }
    const run = (requests: number) => load.ask<LoadResult>('run', { ...request, requests: Math.ceil(requests) })
    await run(400)
    const warm = await run(2000)
    await server.process.ask('startProfile')
    const { requests } = await run((warm.requests / warm.seconds) * seconds * rounds)
    return { profile: await server.process.ask<Profiler.Profile>('stopProfile'), requests }
  } finally {
    await server.stop()
  }
}
