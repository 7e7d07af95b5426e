import { mkdir } from 'node:fs/promises'
import { join, parse } from 'node:path'
import { TemplateError } from '../errors.ts'
import type { DatabaseTemplate, Templates } from './database-template.ts'
import { copyIfMissing, copyTo, isThere, removeDatabase, touch } from './sqlite-files.ts'
import { lockedByFile, SqliteHandle } from './sqlite-handle.ts'
import { newRun, removeLeftovers } from './sqlite-leftovers.ts'
import { templateIsGone } from './template-is-gone.ts'
import { randomName, TemplateNames } from './template-names.ts'

/** Templates as files beside the one that the url names. */
export class SqliteTemplates implements Templates {
  readonly #url: string
  readonly #folder: string
  readonly #ending: string
  readonly #names: TemplateNames

  constructor(url: string) {
    this.#url = url
    const { dir, name, ext } = parse(url)
    this.#folder = dir
    this.#ending = ext
    this.#names = TemplateNames.unlimited(name)
  }

  async prepare(hash: string, migrate: (url: string) => unknown): Promise<DatabaseTemplate> {
    await mkdir(this.#folder, { recursive: true })
    const path = this.#path(this.#names.template(hash))
    const run = newRun()
    await lockedByFile(join(this.#folder, `${this.#names.prefix}template.lock`), async () => {
      if (!(await isThere(path))) await this.#build(hash, run, migrate)
      await touch(path)
      await removeLeftovers(this.#url, this.#names, hash)
    })
    return { dialect: 'sqlite', url: this.#url, name: path, hash, run }
  }

  async clone({ name: template, hash, run }: DatabaseTemplate, label: string): Promise<string> {
    const path = this.#path(this.#names.test(hash, run, label))
    if (!(await isThere(path))) {
      await copyIfMissing(template, path, this.#temporary(hash, run)).catch(async (error: NodeJS.ErrnoException) => {
        throw error.code === 'ENOENT' && !(await isThere(template)) ? templateIsGone(template, error) : error
      })
    }
    await touch(path)
    return path
  }

  async remove({ hash, run }: DatabaseTemplate, label: string): Promise<void> {
    await removeDatabase(this.#path(this.#names.test(hash, run, label)))
  }

  /** Under another name until all of it is done. */
  async #build(hash: string, run: string, migrate: (url: string) => unknown): Promise<void> {
    const building = this.#path(this.#names.building(hash))
    await removeDatabase(building)
    try {
      await migrate(building)
      await writeOut(building)
      await copyTo(building, this.#path(this.#names.template(hash)), this.#temporary(hash, run))
    } catch (error) {
      // What cannot be removed now the next call removes.
      await removeDatabase(building).catch(() => undefined)
      throw error
    }
    await removeDatabase(building)
  }

  /** A copy that is not whole yet. Left over, it goes with the rest of its run. */
  #temporary(hash: string, run: string): string {
    return this.#path(this.#names.test(hash, run, `copy_${randomName()}`))
  }

  #path(name: string): string {
    return join(this.#folder, name + this.#ending)
  }
}

/** Brings all that was committed into the file itself, so that a copy of the file is whole. */
async function writeOut(path: string): Promise<void> {
  const handle = await SqliteHandle.open(path)
  try {
    const isFree = (await handle.rows('begin exclusive')) !== undefined && (await handle.rows('rollback')) !== undefined
    const [result] = (isFree && (await handle.rows('pragma wal_checkpoint(truncate)'))) || []
    if (result?.['busy'] === 0) return
  } finally {
    await handle.close()
  }
  throw new TemplateError(
    `migrate() left a transaction open in ${path}, so that a copy of the file would not be whole. Await everything, and ` +
      `close the connections before it returns: await orm.close().`,
  )
}
