import { TemplateError } from '../errors.ts'
import type { DatabaseTemplate, Templates } from './database-template.ts'
import { dropUnused, dropWithForce, IN_USE } from './drop-postgres.ts'
import { codeOf, databaseOf, PostgresAdmin, urlOf } from './postgres-admin.ts'
import { dropLeftovers, noteGivenOut } from './postgres-leftovers.ts'
import { randomName, TemplateNames } from './template-names.ts'
import { templateIsGone } from './template-is-gone.ts'

/** There is one of that name: 23505 where both came at the same time. */
const THERE_ALREADY = ['42P04', '23505']
const NO_SUCH_DATABASE = '3D000'

/** Templates as databases of a server. */
export class PostgresTemplates implements Templates {
  readonly #url: string
  readonly #names: TemplateNames
  /** Alone while leftovers are dropped, shared while a clone is made that has no connection yet. */
  readonly #lock: string

  constructor(url: string) {
    this.#url = url
    this.#names = TemplateNames.ofPostgres(databaseOf(url))
    this.#lock = this.#names.prefix
  }

  async prepare(hash: string, migrate: (url: string) => unknown): Promise<DatabaseTemplate> {
    return await this.#administer(async (admin) => {
      const name = this.#names.template(hash)
      // Of this key alone: others are built meanwhile.
      await admin.locked('alone', this.#names.building(hash), async () => {
        if (!(await isThere(admin, name))) await this.#build(admin, hash, migrate)
        await noteGivenOut(admin, name)
      })
      await admin.locked('alone', this.#lock, () => dropLeftovers(admin, { url: this.#url, names: this.#names, hash }))
      return { dialect: 'postgresql', url: this.#url, name, hash, run: randomName() }
    })
  }

  async clone({ name: template, hash, run }: DatabaseTemplate, label: string): Promise<string> {
    const name = this.#names.test(hash, run, label)
    await this.#administer((admin) =>
      admin.locked('shared', this.#lock, async () => {
        if (!(await isThere(admin, name))) await cloneAs(admin, name, template)
        await noteGivenOut(admin, name)
      }),
    )
    return urlOf(this.#url, name)
  }

  async remove({ hash, run }: DatabaseTemplate, label: string): Promise<void> {
    await this.#administer((admin) => dropWithForce(admin, this.#url, this.#names.test(hash, run, label)))
  }

  /** Under another name until all of it is done. */
  async #build(admin: PostgresAdmin, hash: string, migrate: (url: string) => unknown): Promise<void> {
    const building = this.#names.building(hash)
    // A process that ended in the middle of it left one.
    await dropWithForce(admin, this.#url, building)
    await admin.send('create database %I', building)
    try {
      await migrate(urlOf(this.#url, building))
      await admin.send('alter database %I with allow_connections false', building)
      await this.#finish(admin, building, this.#names.template(hash))
    } catch (error) {
      // Not with force: that would end connections of this process, which may be without a listener for it. What cannot be
      // dropped now the next call drops.
      if (!(error instanceof TemplateError)) await dropUnused(admin, this.#url, building).catch(() => undefined)
      throw error
    }
  }

  /** The server waits for 5 seconds until those who were connected are gone. */
  async #finish(admin: PostgresAdmin, building: string, template: string): Promise<void> {
    try {
      await admin.send('alter database %I rename to %I', building, template)
    } catch (error) {
      if (codeOf(error) !== IN_USE) throw error
      const left = await admin.rows(
        'select application_name as name, query from pg_catalog.pg_stat_activity where datname = ?',
        building,
      )
      throw leftOpen(
        left.map(({ name, query }) => [name, query].filter(Boolean).join(': ')),
        error,
      )
    }
  }

  async #administer<Result>(work: (admin: PostgresAdmin) => Promise<Result>): Promise<Result> {
    const admin = await PostgresAdmin.open(this.#url)
    try {
      return await work(admin)
    } finally {
      await admin.close()
    }
  }
}

async function isThere(admin: PostgresAdmin, name: string): Promise<boolean> {
  return (await admin.rows('select 1 from pg_catalog.pg_database where datname = ?', name)).length > 0
}

async function cloneAs(admin: PostgresAdmin, name: string, template: string): Promise<void> {
  try {
    await admin.send('create database %I template %I', name, template)
  } catch (error) {
    if (codeOf(error) === NO_SUCH_DATABASE) throw templateIsGone(template, error)
    // by another call for the same worker
    if (!THERE_ALREADY.includes(codeOf(error))) throw error
  }
}

function leftOpen(connections: readonly string[], cause: unknown): TemplateError {
  return new TemplateError(
    `migrate() left ${connections.length || 'some'} of its connections open, and a template with connections cannot be ` +
      `cloned. Close them before it returns: await orm.close(). They last sent: ${connections.join('; ') || 'nothing'}.`,
    { cause },
  )
}
