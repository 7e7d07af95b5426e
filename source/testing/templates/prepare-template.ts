import { ConfigurationError } from '../../role/errors.ts'
import { assertKnownOptions } from '../../role/known-options.ts'
import type { DatabaseTemplate } from './database-template.ts'
import { dialectOf } from './dialect.ts'
import { assertNotInProduction } from './not-in-production.ts'
import { hashOf } from './template-names.ts'
import { templatesOf } from './templates-of.ts'

/** What `prepareTemplate()` builds. */
export interface PrepareTemplateOptions {
  /**
   * The server, the user and the database whose name the others begin with: `postgresql://user:password@localhost/shop` makes
   * `shop_template_…` and `shop_test_…`. The database `shop` itself is not touched and need not be there. The user needs
   * CREATEDB. For SQLite the path of a file, in the same sense: `./shop.sqlite`, also as `file:` or `sqlite:`.
   */
  readonly url: string
  /**
   * Makes the schema, and the rows that every test finds, in the empty database that it gets the url of. It closes its
   * connections before it returns: `await orm.close()`.
   */
  readonly migrate: (url: string) => unknown
  /** Which state of the schema it is: a text that is another one whenever `migrate` would build another database. */
  readonly key: string
}

/**
 * Builds the database that the databases of tests are cloned from, or finds the one that an earlier run built by the same key.
 * For the place where a runner sets up once (`globalSetup`); what it returns is handed to the workers as JSON.
 *
 * - Built once, however many processes ask at the same time: the others wait.
 * - All of it or nothing: it is built under another name, and gets its own when `migrate` is done. If `migrate` fails, its
 *   error is thrown as it is, and the next call begins anew.
 * - On PostgreSQL nobody can connect to it any more. On SQLite all that was committed is in the one file.
 * - Test databases of earlier runs are dropped, and templates of other keys that no run under way was given and that nobody
 *   asked for in the last hour. A run is under way while somebody is connected to one of its databases, and for a minute after
 *   one was given out; on SQLite also while the process lives that called `prepareTemplate()`. Two runs at the same time never
 *   share a database. No database is dropped that the library did not name.
 *
 * It connects to the server directly: its locks are of a connection, which a pooler in transaction mode does not keep.
 *
 * @throws ConfigurationError `SQLASSIST_CONFIGURATION`: options that cannot work, a driver that is not installed, or NODE_ENV
 * is `production`
 * @throws TemplateError `SQLASSIST_TEMPLATE`: `migrate` left connections open (on SQLite: a transaction)
 */
export async function prepareTemplate(options: PrepareTemplateOptions): Promise<DatabaseTemplate> {
  assertNotInProduction('prepareTemplate()')
  assertKnownOptions('prepareTemplate()', options, ['url', 'migrate', 'key'])
  const { url, migrate, key } = options
  const database = dialectOf(url)
  if (typeof migrate !== 'function') {
    throw new ConfigurationError(
      `The option migrate is ${typeof migrate}. Give a function that makes the schema: { migrate: async (url) => { … } }.`,
    )
  }
  if (typeof key !== 'string' || key === '') {
    throw new ConfigurationError(
      `The option key is ${key === '' ? 'empty' : typeof key}. Give a text that changes with the schema, such as the names of ` +
        `all migrations, or { key: await orm.schema.getCreateSchemaSQL() }.`,
    )
  }
  return await templatesOf(database).prepare(hashOf(key), migrate)
}
