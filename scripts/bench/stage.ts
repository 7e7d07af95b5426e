/** What all servers share: the databases, the ways to PostgreSQL, and the process that makes the load. */
import { startEmbeddedPostgres } from '../../tests/support/embedded-postgres.ts'
import { usePostgres } from '../../tests/support/postgres.ts'
import { sqliteFile } from '../../tests/support/sqlite.ts'
import { addedBy, type AddedDelay } from './added-delay.ts'
import { fill, type Database, type Targets } from './databases.ts'
import type { Route } from './proxy.ts'
import { Asked } from './questions.ts'
import type { Looks } from './verify.ts'

export interface Place {
  readonly targets: Targets
  readonly looks: Looks
}

export interface Stage {
  readonly places: Readonly<Record<Database, Place>>
  readonly load: Asked
  readonly proxy: Asked
  /** PostgreSQL's settings that matter for the figures. */
  readonly settings: Readonly<Record<string, string>>
  /** The same databases, by way of a proxy with that latency. */
  delayed(delayMs: number): Promise<{ readonly targets: Targets; readonly added: AddedDelay }>
  /** The same databases, by way of the network that stands still. */
  stepped(): Promise<Targets>
  /** Leaves the SQLite file to the shared resources of the run. */
  close(): Promise<void>
}

const TOLD = 'server_version fsync synchronous_commit full_page_writes shared_buffers max_connections'.split(' ')

export async function setStage(fsync: 'on' | 'off'): Promise<Stage> {
  const embedded = await startEmbeddedPostgres({ fsync, max_connections: '500' })
  const server = await usePostgres(embedded.url)
  const [main, other] = [await server.createDatabase('main'), await server.createDatabase('other')]
  const file = sqliteFile('bench')
  const places = {
    postgresql: { targets: { main, other }, looks: { main: await fill(main), other: await fill(other) } },
    sqlite: { targets: { main: file }, looks: { main: await fill(file) } },
  }
  const settings: Record<string, string> = {}
  for (const name of TOLD) settings[name] = String(await places.postgresql.looks.main.value(`show ${name}`))
  const [load, proxy] = [new Asked('./load.ts', 'load'), new Asked('./proxy.ts', 'proxy')]

  const by = async (kind: 'delayed' | 'stepped', delayMs: number): Promise<Targets & { readonly other: string }> => {
    const route: Route = { port: embedded.port, delayMs }
    const port = await proxy.ask<number>(kind, route)
    return { main: atPort(main, port), other: atPort(other, port) }
  }
  return {
    places,
    load,
    proxy,
    settings,
    async delayed(delayMs) {
      const targets = await by('delayed', delayMs)
      return { targets, added: await addedBy(delayMs, main, targets.main) }
    },
    stepped: () => by('stepped', 0),
    async close() {
      await load.stop()
      await proxy.stop()
      for (const { looks } of Object.values(places)) await closeLooks(looks)
      await server.close()
      await embedded.stop()
    },
  }
}

async function closeLooks({ main, other }: Looks): Promise<void> {
  await main.close()
  await other?.close()
}

function atPort(target: string, port: number): string {
  const url = new URL(target)
  url.port = String(port)
  return url.href
}
