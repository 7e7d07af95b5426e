import { ConfigurationError } from '../../role/errors.ts'

/** What all ORMs here have in common. New for each of them, as MikroORM writes into its options. */
export function ormOptions() {
  // MikroORM would create a database that is not there.
  return { entities: [], discovery: { warnWhenNoEntities: false }, ensureDatabase: false, debug: false }
}

/** An optional peer of the package. @throws ConfigurationError where it is not installed */
export async function driverOf<Driver>(name: string, load: () => Promise<Driver>): Promise<Driver> {
  try {
    return await load()
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'ERR_MODULE_NOT_FOUND' || !message.includes(`'${name}'`)) throw error
    throw new ConfigurationError(`The url needs ${name}, which is not installed: npm install --save-dev ${name}`, {
      cause: error,
    })
  }
}
