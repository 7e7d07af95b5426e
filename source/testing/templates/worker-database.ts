import process from 'node:process'
import { ConfigurationError } from '../../role/errors.ts'
import { assertKnownOptions } from '../../role/known-options.ts'
import { assertTemplate, type DatabaseTemplate } from './database-template.ts'
import { assertNotInProduction } from './not-in-production.ts'
import { templatesOf } from './templates-of.ts'

/** Which of the parallel workers of a runner asks. */
export interface WorkerDatabaseOptions {
  /**
   * The name of the worker, of the characters `A-Z a-z 0-9 _`. Default: the first of the environment variables VITEST_POOL_ID,
   * JEST_WORKER_ID, MOCHA_WORKER_ID and NODE_TEST_WORKER_ID that is set, else `1`.
   */
  readonly worker?: string | number | undefined
}

/** As runners number their workers. */
const VARIABLES = ['VITEST_POOL_ID', 'JEST_WORKER_ID', 'MOCHA_WORKER_ID', 'NODE_TEST_WORKER_ID']

/**
 * The url of the database of this worker, a clone of the template. The first call of a run clones it; later calls, as from the
 * worker's other test files, find it as it was left. On PostgreSQL the url is for MikroORM's `clientUrl`, on SQLite it is a path
 * for `dbName`. Nobody drops it until the run is over: a later `prepareTemplate()` does.
 *
 * @throws ConfigurationError `SQLASSIST_CONFIGURATION`: what is given is no template, the worker's name has other characters,
 * or NODE_ENV is `production`
 * @throws TemplateError `SQLASSIST_TEMPLATE`: the template is not there any more
 */
export async function workerDatabase(template: DatabaseTemplate, options: WorkerDatabaseOptions = {}): Promise<string> {
  assertNotInProduction('workerDatabase()')
  assertTemplate(template)
  assertKnownOptions('workerDatabase()', options, ['worker'])
  return await templatesOf(template).clone(template, workerName(options.worker))
}

function workerName(given: string | number | undefined): string {
  const variable = VARIABLES.find((name) => process.env[name])
  const name = String(given ?? (variable === undefined ? '1' : process.env[variable]))
  if (/^\w+$/.test(name)) return name
  const source = given === undefined ? `The environment variable ${variable}` : 'The option worker'
  throw new ConfigurationError(
    `${source} is "${name}". A worker's name becomes part of a database's: use letters of ASCII, digits and _, ` +
      `such as { worker: 'integration_1' }.`,
  )
}
