import { assertTemplate, type DatabaseTemplate } from './database-template.ts'
import { assertNotInProduction } from './not-in-production.ts'
import { randomName } from './template-names.ts'
import { templatesOf } from './templates-of.ts'

/** A database that one test has for itself. */
export interface FreshDatabase extends AsyncDisposable {
  /** For MikroORM's `clientUrl`; on SQLite a path for `dbName`. */
  readonly url: string
  /**
   * Drops it, for Node 22, which does not know `await using`. Connections that are still open to it are ended, and what was
   * left prepared in it is rolled back. A second call does nothing.
   */
  drop(): Promise<void>
}

/**
 * A new clone of the template for one test, such as one of what is committed, of locks or of several connections. Its name is
 * its own among all processes. `await using` drops it at the end of the test; one that was not dropped goes as the databases of
 * workers do.
 *
 * ```ts
 * await using database = await freshDatabase(template)
 * ```
 *
 * @throws ConfigurationError `SQLASSIST_CONFIGURATION`: what is given is no template, or NODE_ENV is `production`
 * @throws TemplateError `SQLASSIST_TEMPLATE`: the template is not there any more
 */
export async function freshDatabase(template: DatabaseTemplate): Promise<FreshDatabase> {
  assertNotInProduction('freshDatabase()')
  assertTemplate(template)
  // A copy: the caller's object may change before the end.
  const own = { ...template }
  const templates = templatesOf(own)
  const label = `fresh_${randomName(10)}`
  const url = await templates.clone(own, label)
  let dropping: Promise<void> | undefined
  const drop = (): Promise<void> => (dropping ??= templates.remove(own, label))
  return { url, drop, [Symbol.asyncDispose]: drop }
}
