/** The same application over two databases: one in a sandbox, and one where everything is committed for real. */
import Koa from 'koa'
import { dbSessions, EngineRegistry, type DbSessionsOptions, type EngineOptions } from '../../source/index.ts'
import { createSandbox, type Sandbox, type SandboxOptions } from '../../source/testing/index.ts'
import { serve, type Served } from '../support/http.ts'
import { newDatabase, openOrm, type Dialect, type TestOrm } from '../support/orms.ts'
import { secondLook, type SecondLook } from '../support/second-look.ts'

export type Registry = EngineRegistry<Record<string, EngineOptions>>
export type Context = any
export type Handler = (ctx: Context, world: TwinWorld) => unknown

/** What a case has to work with, in either world. */
export interface TwinWorld {
  readonly dialect: Dialect
  readonly registry: Registry
  readonly isSandbox: boolean
  /** Sends a request to a handler; its status, and what it has answered. */
  request(handler: Handler, options?: DbSessionsOptions): Promise<{ status: number; body: unknown }>
  /** What happened, in order. */
  readonly heard: string[]
  /** The rows of all tables, as committed. */
  rows(): Promise<Record<string, unknown[]>>
}

const TABLES = ['author', 'book', 'tag'] as const
const QUIET = { silent: true }

export class TwinSide implements TwinWorld {
  readonly dialect: Dialect
  readonly registry: Registry
  readonly looks: readonly SecondLook[]
  readonly targets: readonly string[]
  readonly orms: readonly TestOrm[]
  sandbox: Sandbox | undefined
  heard: string[] = []

  private constructor(
    dialect: Dialect,
    targets: readonly string[],
    orms: Record<string, EngineOptions>,
    looks: SecondLook[],
  ) {
    this.dialect = dialect
    this.targets = targets
    this.orms = Object.values(orms).map(({ orm }) => orm as TestOrm)
    this.registry = new EngineRegistry(orms, { recover: false })
    this.looks = looks
  }

  /** On SQLite two roles that write have a file each. */
  static async open(
    dialect: Dialect,
    sandbox?: SandboxOptions,
    roles: Record<string, Omit<EngineOptions, 'orm'>> = {},
  ): Promise<TwinSide> {
    const [main, other] = [await newDatabase(dialect), await newDatabase(dialect)]
    const logs = dialect === 'sqlite' ? await newDatabase(dialect) : main
    const trails = dialect === 'sqlite' ? await newDatabase(dialect) : main
    const open = (target: string) => openOrm(target)
    const side = new TwinSide(
      dialect,
      [...new Set([main, other, logs, trails])],
      {
        writer: { orm: await open(main), ...roles['writer'] },
        reader: { orm: await open(main), readOnly: true },
        snapshot: { orm: await open(main), readOnly: 'snapshot' },
        audit: { orm: await open(other) },
        logger: { orm: await open(logs), commit: 'autonomous' },
        trail: { orm: await open(trails), commit: 'autocommit' },
      },
      await Promise.all([...new Set([main, other, logs, trails])].map((target) => secondLook(target))),
    )
    if (sandbox !== undefined) side.sandbox = await createSandbox(side.registry, sandbox)
    return side
  }

  get isSandbox(): boolean {
    return this.sandbox !== undefined
  }

  async request(handler: Handler, options?: DbSessionsOptions): Promise<{ status: number; body: unknown }> {
    const served = options === undefined ? await this.#plainly() : await this.#serve(handler, options)
    try {
      const headers = { handler: String(this.#handlers.push(handler) - 1) }
      const { status, text } = await served.request('POST', '/', { headers })
      return { status, body: text }
    } finally {
      if (options !== undefined) await served.close()
    }
  }

  readonly #handlers: Handler[] = []
  #served: Promise<Served> | undefined

  #plainly(): Promise<Served> {
    return (this.#served ??= this.#serve(
      async (ctx) => await this.#handlers[Number(ctx.get('handler'))]!(ctx, this),
      {},
    ))
  }

  async #serve(handler: Handler, options: DbSessionsOptions): Promise<Served> {
    const app = Object.assign(new Koa(), QUIET)
    const handle = async (ctx: Context): Promise<void> => void (await handler(ctx, this))
    if (options.attempts === undefined) app.use(dbSessions(this.registry, options)).use(handle)
    else app.use(dbSessions(this.registry, options, handle))
    return await serve(app)
  }

  async rows(): Promise<Record<string, unknown[]>> {
    return await this.registry.run(async ({ dbSession }: Context) => {
      const rows: Record<string, unknown[]> = {}
      for (const role of ['writer', 'audit', 'logger', 'trail']) {
        for (const table of ['author', 'book']) {
          const found = await dbSession.get(role).execute(`select * from ${table} order by id`)
          if (found.length > 0) rows[`${role}: ${table}`] = found
        }
      }
      return rows
    })
  }

  /** Empties all tables, as if they were new. */
  async clear(): Promise<void> {
    this.heard = []
    if (this.isSandbox) return
    for (const look of this.looks) {
      if (this.dialect === 'postgresql') await look.rows('truncate author, book, tag, book_tags restart identity')
      else for (const table of ['book_tags', ...TABLES, 'sqlite_sequence']) await look.rows(`delete from ${table}`)
    }
  }

  /** How many rows a second connection finds. */
  async stored(): Promise<number> {
    let sum = 0
    for (const look of this.looks)
      for (const table of TABLES) sum += Number(await look.value(`select count(*) from ${table}`))
    return sum
  }

  async close(): Promise<void> {
    await (await this.#served)?.close()
    await this.sandbox?.close()
    await this.registry.close()
    for (const look of this.looks) await look.close()
  }
}
