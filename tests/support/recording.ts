/** Every statement that reaches a database, PostgreSQL by the wire, SQLite by the handle. */
import Database from 'better-sqlite3'
import { openWire } from './wire.ts'

export interface Recording {
  /** The url to connect to; undefined where there is no wire. */
  readonly via: string
  /** What was sent since the last reset, in order. */
  sql(): string[]
  /** Over how many connections it was sent. */
  connections(): number
  reset(): void
  /** On SQLite, the handle whose statements count; a second look at the same file is none. */
  watch(handle: unknown): void
  close(): Promise<void>
}

export async function recordStatements(target: string): Promise<Recording> {
  return target.startsWith('postgres') ? await recordPostgres(target) : recordSqlite(target)
}

async function recordPostgres(url: string): Promise<Recording> {
  const wire = await openWire(url)
  return {
    via: wire.url,
    sql: () => wire.sql(),
    connections: () => new Set(wire.statements().map(({ connection }) => connection)).size,
    reset: () => wire.reset(),
    watch: () => undefined,
    close: () => wire.close(),
  }
}

type Run = 'run' | 'all' | 'get' | 'iterate'

/** Statements are counted when they run, not when they are prepared. */
function recordSqlite(path: string): Recording {
  const sent: string[] = []
  let watched: unknown
  const prototype = Object.getPrototypeOf(new Database(':memory:').prepare('select 1')) as Record<Run, Function>
  const originals = (['run', 'all', 'get', 'iterate'] as const).map((name) => [name, prototype[name]] as const)
  for (const [name, original] of originals) {
    prototype[name] = function (this: { source: string; database: unknown }, ...args: unknown[]) {
      // How long to wait for a lock is no statement about the data.
      if (this.database === watched && !/^pragma journal_mode$|\bpragma_busy_timeout$/i.test(this.source))
        sent.push(this.source)
      return Reflect.apply(original, this, args)
    }
  }
  return {
    via: path,
    sql: () => [...sent],
    connections: () => 1,
    reset: () => void (sent.length = 0),
    watch: (handle) => (watched = handle),
    async close() {
      for (const [name, original] of originals) prototype[name] = original
    },
  }
}
