import { ConfigurationError } from '../../role/errors.ts'

/**
 * A template as `prepareTemplate()` returns it, for `workerDatabase()` and `freshDatabase()`. It is data: `JSON.stringify()` and
 * `structuredClone()` keep all of it, so that a runner can hand it to its workers. Its url has the password that was given.
 */
export interface DatabaseTemplate {
  /** What the databases are. */
  readonly dialect: 'postgresql' | 'sqlite'
  /** That of `prepareTemplate()`. On SQLite the absolute path of the file. */
  readonly url: string
  /** The template's database. On SQLite the absolute path of its file. */
  readonly name: string
  /** The hash of the key. */
  readonly hash: string
  /** A name of its own for each call of `prepareTemplate()`. The databases that are cloned from this object bear it. */
  readonly run: string
}

/** What builds and clones templates of one dialect, for one url. */
export interface Templates {
  prepare(hash: string, migrate: (url: string) => unknown): Promise<DatabaseTemplate>
  /** Clones the template, unless `label` has a database in this run already; its url. */
  clone(template: DatabaseTemplate, label: string): Promise<string>
  /** Removes that database, also while it is used. */
  remove(template: DatabaseTemplate, label: string): Promise<void>
}

/** @throws ConfigurationError where it is not what `prepareTemplate()` returned, or has lost a part on its way */
export function assertTemplate(template: DatabaseTemplate): void {
  const { dialect, url, name, hash, run } = (template ?? {}) as Partial<Record<keyof DatabaseTemplate, unknown>>
  const isWhole =
    (dialect === 'postgresql' || dialect === 'sqlite') &&
    [url, name, hash, run].every((part) => typeof part === 'string' && part !== '')
  if (isWhole) return
  throw new ConfigurationError(
    `The template is ${template === undefined ? 'undefined' : 'not what prepareTemplate() returned'}. Call it where the runner ` +
      `sets up, and hand its result to the workers: process.env['TEMPLATE'] = JSON.stringify(await prepareTemplate({ … })) ` +
      `there, JSON.parse(process.env['TEMPLATE']) here.`,
  )
}
