import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface Config {
  /** The PostgreSQL database of all roles; without one, SQLite files in `dataDirectory`. */
  readonly databaseUrl?: string | undefined
  /** Replicas of that database, for what only looks. Undefined: everything comes from the database itself. */
  readonly databaseReplicas?: readonly string[] | undefined
  readonly dataDirectory: string
  /** Signs the tokens of signed-in users. */
  readonly tokenSecret: Uint8Array
  /** What it costs to hash a password; see security/passwords.ts. */
  readonly passwordCost?: number
  /** Whether there is a debug panel, at /_sqlassist. */
  readonly debugPanel?: boolean
}

export function readConfig(env: NodeJS.ProcessEnv): Config {
  const dataDirectory = env['DATA_DIR'] || fileURLToPath(new URL('data/', import.meta.url))
  mkdirSync(dataDirectory, { recursive: true })
  const secret = env['TOKEN_SECRET']
  return {
    databaseUrl: env['DATABASE_URL'] || undefined,
    databaseReplicas: env['DATABASE_REPLICAS']?.split(',').filter(Boolean),
    dataDirectory,
    debugPanel: env['NODE_ENV'] !== 'production',
    tokenSecret: secret ? Buffer.from(secret) : storedSecret(join(dataDirectory, 'token-secret')),
  }
}

/** A secret that outlives a restart and is the same for every process, so that nobody has to sign in again. */
function storedSecret(path: string): Uint8Array {
  try {
    writeFileSync(path, randomBytes(32), { flag: 'wx', mode: 0o600 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  return readFileSync(path)
}
