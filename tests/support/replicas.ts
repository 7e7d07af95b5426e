/** A primary and its standbys, with an application over them. */
import { channel, tracingChannel } from 'node:diagnostics_channel'
import { MikroORM } from '@mikro-orm/postgresql'
import type {
  EngineOptions,
  ReplicaFallbackMessage,
  ReplicaStateMessage,
  ServedBy,
  StatementMessage,
} from '../../source/index.ts'
import { startEmbeddedPostgres, type EmbeddedPostgres } from './embedded-postgres.ts'
import { ENTITIES } from './entities.ts'
import { startStandby, type Standby } from './standby.ts'
import { secondLook, type SecondLook } from './second-look.ts'
import { closeAtEnd } from './shared-resources.ts'

export interface Cluster {
  readonly primary: EmbeddedPostgres
  readonly standbys: readonly Standby[]
  /** At the primary. */
  readonly look: SecondLook
  /** Every standby replays, and has replayed everything. */
  level(): Promise<void>
  close(): Promise<void>
}

/** The wait for the writer of the log would be the longest part of most tests. */
const QUICK = { synchronous_commit: 'on', autovacuum: 'off', full_page_writes: 'off', max_connections: '100' }

/** A new primary with the tables of the tests' entities, and that many standbys. */
export async function startCluster(
  count: number,
  settings: Readonly<Record<string, string>> = {},
  ofStandbys: Readonly<Record<string, string>> = {},
): Promise<Cluster> {
  const primary = await startEmbeddedPostgres({ ...QUICK, ...settings })
  const orm = await MikroORM.init({ entities: ENTITIES, clientUrl: primary.url })
  await orm.schema.create()
  await orm.close()
  const standbys: Standby[] = []
  for (let each = 0; each < count; each++) standbys.push(await startStandby(primary.url, ofStandbys))
  const look = await secondLook(primary.url)
  const level = async (): Promise<void> => {
    for (const standby of standbys) {
      await standby.resume()
      await standby.caughtUp()
    }
  }
  await level()
  return {
    primary,
    standbys,
    look,
    level,
    async close() {
      await look.close().catch(() => undefined)
      for (const standby of standbys) await standby.stop()
      await primary.stop()
    },
  }
}

let shared: Promise<Cluster> | undefined

/** A primary and two standbys, for tests that do no more to them than pause the replay. */
export async function sharedCluster(): Promise<Cluster> {
  if (shared === undefined) {
    shared = startCluster(2)
    const cluster = await shared
    closeAtEnd(() => cluster.close())
  }
  const cluster = await shared
  await cluster.level()
  return cluster
}

/** An ORM over the primary, with the standbys as its replicas. */
export async function ormOver(
  { primary, standbys }: Pick<Cluster, 'primary' | 'standbys'>,
  config: Record<string, unknown> = {},
): Promise<MikroORM> {
  return await MikroORM.init({
    entities: ENTITIES,
    clientUrl: primary.url,
    pool: { min: 0, max: 5 },
    replicas: standbys.map(({ port }) => ({ host: '127.0.0.1', port })),
    ...config,
  })
}

/** A writer and a reader, and what a test has beside them. */
export interface ReplicaEngines {
  readonly writer: MikroORM | EngineOptions<MikroORM>
  readonly reader: EngineOptions<MikroORM>
  readonly [role: string]: MikroORM | EngineOptions<MikroORM>
}

/** A writer, and a reader of its replicas. */
export async function readerAndWriterOf(
  cluster: Cluster,
  options: Partial<EngineOptions> = {},
): Promise<ReplicaEngines> {
  const writer = await ormOver({ primary: cluster.primary, standbys: [] })
  const orm = await ormOver(cluster)
  return { writer, reader: { orm, readOnly: true, replicaOf: 'writer', ...options } }
}

/** What is heard of the statements of a role with replicas, and of the replicas. */
export interface Heard {
  /** Of each statement, in the order of their ends. */
  readonly served: ServedBy[]
  readonly fallbacks: ReplicaFallbackMessage[]
  readonly states: ReplicaStateMessage[]
  /** The servers, in the same order. */
  readonly servers: string[]
  /** Forgets what was heard so far. */
  forget(): void
  stop(): void
}

export function hear(role = 'reader'): Heard {
  const served: ServedBy[] = []
  const fallbacks: ReplicaFallbackMessage[] = []
  const states: ReplicaStateMessage[] = []
  const note = (message: unknown): void => {
    const { role: of, server, waitedMs = 0, required, fallback } = message as StatementMessage
    if (of === role && server !== undefined) served.push({ server, waitedMs, required, fallback })
  }
  const noteFallback = (message: unknown): void => void fallbacks.push(message as ReplicaFallbackMessage)
  const noteState = (message: unknown): void => void states.push(message as ReplicaStateMessage)
  const statements = tracingChannel('sqlassist:session:statement')
  statements.asyncEnd.subscribe(note)
  channel('sqlassist:replica:fallback').subscribe(noteFallback)
  channel('sqlassist:replica:state').subscribe(noteState)
  return {
    served,
    fallbacks,
    states,
    get servers() {
      return served.map(({ server }) => server)
    },
    forget() {
      served.length = fallbacks.length = states.length = 0
    },
    stop() {
      statements.asyncEnd.unsubscribe(note)
      channel('sqlassist:replica:fallback').unsubscribe(noteFallback)
      channel('sqlassist:replica:state').unsubscribe(noteState)
    },
  }
}
