import { realpathSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Engine } from '../../role/engine.ts'
import type { Database } from '../../database/database.ts'
import { GLOBAL_ID_PREFIX } from '../../database/prepared.ts'
import { Pin, type PinnedDatabase } from './pin.ts'
import type { ResolvedSandboxOptions } from './sandbox-options.ts'

/** The pins of a sandbox: one for each database, whichever roles lead to it. */
export class Pins {
  readonly #databases: readonly PinnedDatabase[]
  readonly #options: ResolvedSandboxOptions
  readonly #byEngine = new Map<Engine, Promise<Pin>>()
  readonly #byDatabase = new Map<unknown, Pin>()

  constructor(engines: readonly Engine[], options: ResolvedSandboxOptions) {
    // Where a role that only reads comes first, its user may not be able to write.
    const inOrder = engines.toSorted((one, other) => Number(other.rules.writes) - Number(one.rules.writes))
    this.#databases = inOrder.map((engine) => ({ engine, database: engine.database }))
    this.#options = options
  }

  /** The pin of the database of a role. @throws the driver's error where that cannot be asked which one it is */
  async of(engine: Engine): Promise<Pin> {
    let pin = this.#byEngine.get(engine)
    if (pin === undefined) {
      pin = this.#of(engine)
      this.#byEngine.set(engine, pin)
      pin.catch(() => this.#byEngine.delete(engine))
    }
    return await pin
  }

  async #of(engine: Engine): Promise<Pin> {
    const identity = await identityOf(this.#databaseOf(engine), engine)
    const known = this.#byDatabase.get(identity)
    if (known !== undefined) return known
    const identities = await Promise.all(
      this.#databases.map(async (each) => ((await isSame(each, engine, identity)) ? each : undefined)),
    )
    const first = identities.find((each) => each !== undefined) as PinnedDatabase
    const pin = this.#byDatabase.get(identity) ?? new Pin(first, this.#options)
    this.#byDatabase.set(identity, pin)
    return pin
  }

  #databaseOf(engine: Engine): Database {
    return (this.#databases.find((each) => each.engine === engine) as PinnedDatabase).database
  }

  get all(): Pin[] {
    return [...this.#byDatabase.values()]
  }
}

/** A database that cannot be asked is another one: the sandbox of this one goes on without it. */
async function isSame({ engine, database }: PinnedDatabase, asked: Engine, identity: unknown): Promise<boolean> {
  if (engine === asked) return true
  // One that a test does not touch is asked nothing.
  if (database.dialect === 'postgresql' && nameOf(engine) !== nameOf(asked)) return false
  return await identityOf(database, engine).then(
    (other) => other === identity,
    () => false,
  )
}

function nameOf(engine: Engine): unknown {
  return engine.options.orm.config.get('dbName')
}

/** Two roles may lead to one database by different names of its server. */
async function identityOf(database: Database, engine: Engine): Promise<unknown> {
  if (database.prepared !== undefined) return (await database.prepared.survey(GLOBAL_ID_PREFIX)).identity
  const name = nameOf(engine)
  if (typeof name !== 'string' || name === ':memory:' || name === '') return engine.options.orm
  const path = resolve(name)
  try {
    return realpathSync(path)
  } catch {
    // It is created by its first statement.
    return path
  }
}
