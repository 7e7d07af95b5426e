/** Several databases behind one registry, each with its wire and a second look, for commits that change more than one. */
import { EngineRegistry, type EngineOptions, type EngineRegistryOptions } from '../../source/index.ts'
import { Author } from './entities.ts'
import { newDatabase, openOrm, type Dialect, type TestOrm } from './orms.ts'
import { secondLook, type SecondLook } from './second-look.ts'
import { openWire, type Wire } from './wire.ts'

export interface Place {
  readonly role: string
  readonly dialect: Dialect
  readonly target: string
  readonly look: SecondLook
  /** PostgreSQL only. */
  readonly wire: Wire | undefined
  readonly orm: TestOrm
}

/** How many rows a place has of `name`. */
export async function has({ look, dialect }: Place, name: string): Promise<unknown> {
  return await look.value(`select count(*) from author where name = ${dialect === 'sqlite' ? '?' : '$1'}`, name)
}

/** The names of what is prepared in a place's database. */
export async function preparedIn({ look, dialect }: Place): Promise<string[]> {
  if (dialect === 'sqlite') return []
  const rows = await look.rows('select gid from pg_prepared_xacts where database = current_database() order by gid')
  return rows.map(({ gid }) => String(gid))
}

/** The decisions that a place remembers; undefined where there is no table for them. */
export async function decisionsIn({ look, dialect }: Place): Promise<unknown[] | undefined> {
  const table =
    dialect === 'sqlite'
      ? `select name from sqlite_master where name = 'sqlassist_decision'`
      : `select c from to_regclass('sqlassist_decision') c where c is not null`
  if ((await look.rows(table)).length === 0) return undefined
  const rows = await look.rows(`select id, decision from sqlassist_decision where id not like 'database%' order by id`)
  return rows.map(({ decision }) => decision)
}

export class SeveralDatabases {
  readonly places: Place[] = []
  readonly #registries: EngineRegistry[] = []

  /** One place for each role, `{ writer: 'postgresql', audit: 'sqlite' }`, in a new database or in that of `targets`. */
  static async open(
    roles: Readonly<Record<string, Dialect>>,
    targets: Readonly<Record<string, string>> = {},
  ): Promise<SeveralDatabases> {
    const several = new SeveralDatabases()
    for (const [role, dialect] of Object.entries(roles)) {
      const target = targets[role] ?? (await newDatabase(dialect, role))
      const wire = dialect === 'postgresql' ? await openWire(target) : undefined
      const orm = await openOrm(target, { via: wire?.url ?? target, contextName: role })
      several.places.push({ role, dialect, target, wire, orm, look: await secondLook(target) })
    }
    return several
  }

  /** The same databases as another process has them: ORMs and a registry of its own. */
  static async again(
    first: SeveralDatabases,
    roles: readonly string[],
    config: Readonly<Record<string, Record<string, unknown>>> = {},
    options: EngineRegistryOptions = {},
    direct = false,
  ) {
    const orms = await Promise.all(
      roles.map(async (role) => {
        const { target, wire } = first.place(role)
        const via = direct ? target : (wire?.url ?? target)
        const orm = await openOrm(target, { via, contextName: role, config: { ...config[role] } })
        return [role, { orm }] as const
      }),
    )
    const registry = new EngineRegistry<Record<string, EngineOptions>>(Object.fromEntries(orms), {
      recover: false,
      ...options,
    })
    return { registry, close: () => registry.close() }
  }

  /** The same, where its roles lead to other places: `{ writer: 'copy' }`. */
  async elsewhere(
    roles: Readonly<Record<string, string>>,
    options: EngineRegistryOptions = {},
  ): Promise<EngineRegistry<Record<string, EngineOptions>>> {
    const orms = Object.entries(roles).map(async ([role, place]) => {
      const { target, wire } = this.place(place)
      return [
        role,
        { orm: await openOrm(target, { via: wire?.url ?? target, contextName: role, hasSchema: true }) },
      ] as const
    })
    return new EngineRegistry<Record<string, EngineOptions>>(Object.fromEntries(await Promise.all(orms)), {
      recover: false,
      ...options,
    })
  }

  place(role: string): Place {
    return this.places.find((each) => each.role === role)!
  }

  /** A registry over all of them, without automatic recovery unless `options` say so. */
  registry(
    options: EngineRegistryOptions = {},
    engines: Readonly<Record<string, Omit<EngineOptions, 'orm'>>> = {},
  ): EngineRegistry<Record<string, EngineOptions>> {
    const roles = Object.fromEntries(this.places.map(({ role, orm }) => [role, { orm, ...engines[role] }]))
    const registry = new EngineRegistry<Record<string, EngineOptions>>(roles, { recover: false, ...options })
    this.#registries.push(registry as unknown as EngineRegistry)
    return registry
  }

  /** A registry over ORMs of these, by other names. */
  registryOf(engines: Readonly<Record<string, unknown>>): EngineRegistry<any> {
    return new EngineRegistry<any>(engines, { recover: false })
  }

  /** The same, when it has asked every database what it can do: from here on only the commits themselves are sent. */
  async warmRegistry(...options: Parameters<SeveralDatabases['registry']>) {
    const registry = this.registry(...options)
    const roles = this.places.map(({ role }) => role)
    const withWire = this.places.filter(({ wire }) => wire !== undefined).map(({ role }) => role)
    await addIn(registry, roles, 'warm-up')
    for (const first of withWire) {
      for (const second of withWire) if (first !== second) await addIn(registry, [first, second], 'warm-up')
    }
    await this.reset()
    return registry
  }

  /** Clears what earlier tests left. */
  async reset(): Promise<void> {
    for (const place of this.places) {
      for (const gid of await preparedIn(place)) await place.look.rows(`rollback prepared '${gid}'`)
      await place.look.rows('delete from book')
      await place.look.rows('delete from author')
      if (await decisionsIn(place))
        await place.look.rows(`delete from sqlassist_decision where id not like 'database%'`)
      place.wire?.reset()
    }
  }

  async close(): Promise<void> {
    for (const { look, wire, orm } of this.places) {
      await look.close()
      await orm.close(true)
      await wire?.close()
    }
  }
}

/** A run that adds an author of that name in each of the roles, in that order. */
export async function addIn(
  registry: EngineRegistry<Record<string, EngineOptions>>,
  roles: readonly string[],
  name: string,
): Promise<void> {
  await registry.run(async ({ dbSession }: any) => {
    for (const role of roles) await dbSession.get(role).insert(Author, { name })
  })
}
