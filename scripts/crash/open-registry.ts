import { MikroORM as PostgresOrm } from '@mikro-orm/postgresql'
import { MikroORM as SqliteOrm } from '@mikro-orm/sqlite'
import { EngineRegistry } from '../../source/index.ts'
import { Account, Ledger } from './entities.ts'
import type { Access } from './messages.ts'

const entities = [Account, Ledger]
const LOCK_TIMEOUT_MS = 400
const SQLITE_TIMEOUT_MS = 400

/** The three databases as roles. Transfers lock in any order, so a wait for a lock ends soon. */
export async function openRegistry({ name, ports, password, book, defaultRole }: Access, lockTimeout = true) {
  const postgres = async (port: number): Promise<PostgresOrm> =>
    await PostgresOrm.init({
      entities,
      clientUrl: `postgres://postgres:${password}@127.0.0.1:${port}/postgres`,
      pool: { min: 0, max: 5 },
      driverOptions: { application_name: name, ...(lockTimeout ? { lock_timeout: LOCK_TIMEOUT_MS } : {}) },
    })
  const sqlite = await SqliteOrm.init({ entities, dbName: book, driverOptions: { timeout: SQLITE_TIMEOUT_MS } })
  return new EngineRegistry(
    {
      left: { orm: await postgres(ports.left), default: defaultRole === 'left' },
      right: { orm: await postgres(ports.right), default: defaultRole === 'right' },
      book: { orm: sqlite },
    },
    // Recovery runs on request, so that each round knows when.
    { name: 'bank', atomic: 'required', recover: false },
  )
}
