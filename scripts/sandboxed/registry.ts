import type { MikroORM } from '@mikro-orm/core'
import type { Database, DatabaseConnection } from '../../source/database/database.ts'
import { EngineRegistry as Unchanged } from '../../source/registry/engine-registry.ts'
import type { Engine } from '../../source/role/engine.ts'
import { resolveSandboxOptions } from '../../source/testing/sandbox/sandbox-options.ts'
import { Sandbox } from '../../source/testing/sandbox/sandbox.ts'

/** Those whose sandbox has its databases. */
const holding = new Set<EngineRegistry>()
/** How many connections of each pool sandboxes have. */
const pinned = new Map<unknown, number>()

/** The sandbox that has a database, by an engine that leads there. */
export function holderOf(database: string): { readonly registry: EngineRegistry; readonly engine: Engine } | undefined {
  for (const registry of holding) {
    const engine = registry.engines.find((each) => nameOf(each) === database)
    if (engine !== undefined) return { registry, engine }
  }
  return undefined
}

/** How many connections of a pool sandboxes have: for as long as a test is begun. */
export function pinnedOf(pool: unknown): number {
  return pinned.get(pool) ?? 0
}

function count(pool: unknown, more: number): void {
  pinned.set(pool, pinnedOf(pool) + more)
}

/**
 * A registry that is in a sandbox from its first session to its end. Of those that share a database only one holds it: the one
 * that was used last.
 */
export class EngineRegistry extends Unchanged<any, any> {
  readonly engines: readonly Engine[]
  /** What has to be done again, for real, when its sandbox gives the databases to another one. */
  readonly fixtures: (() => Promise<unknown>)[] = []
  #sandbox: Sandbox | undefined
  #begun: Promise<void> | undefined
  #isBeginning = false
  #isClosed = false

  constructor(...options: ConstructorParameters<typeof Unchanged<any, any>>) {
    super(...options)
    this.engines = this.names.map((role) => this.engine(role))
    for (const engine of this.engines) this.#watch(engine)
  }

  #take(): void {
    if (this.#isClosed || this.#sandbox !== undefined) return
    const resolved = resolveSandboxOptions({ escapes: 'allow', readAhead: 'allow', sequences: 'restore' })
    this.#sandbox = new Sandbox(this, resolved, () => undefined)
    // A sandbox begins when nothing is under way. Here that is its first request.
    this.#isBeginning = true
    const begun = this.#sandbox.begin().finally(() => (this.#isBeginning = false))
    for (const { database } of this.engines) waitFor(begun, database)
  }

  override async whenQuiet(): Promise<void> {
    if (!this.#isBeginning) await super.whenQuiet()
  }

  /** With the first statement: the ends of the other sandboxes are sent then. */
  async #begin(): Promise<void> {
    const others = [...holding].filter((other) => other !== this && other.#sharesWith(this))
    holding.add(this)
    await Promise.all(others.map(async (other) => await other.#leave()))
  }

  #sharesWith(other: EngineRegistry): boolean {
    return this.engines.some((one) => other.engines.some((each) => nameOf(each) === nameOf(one)))
  }

  #watch(engine: Engine): void {
    const { orm } = engine.options
    const { open } = engine
    engine.open = (options) => {
      this.#take()
      return open.call(engine, options)
    }
    const { database } = engine
    const { begin } = database
    // All transactions that are not of the sandbox are beneath it.
    database.begin = async (...args: Parameters<Database['begin']>) => {
      await (this.#begun ??= this.#begin())
      return await counted(await begin.apply(database, args), orm)
    }
    // Tests may close an ORM without its registry: the sandbox has one of its connections.
    const { close } = orm
    orm.close = async (force) => {
      await this.#end()
      await close.call(orm, force)
    }
  }

  override async close(): Promise<void> {
    await super.close()
    await this.#end()
  }

  async #end(): Promise<void> {
    this.#isClosed = true
    await this.#leave()
  }

  async #leave(): Promise<void> {
    const sandbox = this.#sandbox
    this.#sandbox = undefined
    this.#begun = undefined
    holding.delete(this)
    await sandbox?.close().catch(() => undefined)
    for (const fixture of this.fixtures.splice(0)) await fixture()
  }
}

/** Has what is sent to `database` wait for `before`. */
function waitFor(before: Promise<void>, database: Database): void {
  const { begin, lend } = database
  database.begin = async (...args) => {
    await before
    return await begin.apply(database, args)
  }
  database.lend = async (...args: Parameters<Database['lend']>) => {
    await before
    return (await lend.apply(database, args)) as never
  }
}

async function counted(connection: DatabaseConnection, orm: MikroORM<any, any, any>): Promise<DatabaseConnection> {
  const pool = await orm.em.getDriver().getConnection().getNativeClient()
  const { release } = connection
  count(pool, 1)
  connection.release = (broken) => {
    count(pool, -1)
    return release.call(connection, broken)
  }
  return connection
}

function nameOf({ options }: Engine): unknown {
  const name: unknown = options.orm.config.get('dbName')
  return name === ':memory:' ? options.orm : name
}
