import { ConfigurationError } from '../../role/errors.ts'

/** What every ORM of this room has in common: no entities, and one connection that stays. */
export const ORM_OPTIONS = {
  entities: [],
  discovery: { warnWhenNoEntities: false },
  // MikroORM would create what is not there.
  ensureDatabase: false,
  debug: false,
} as const

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
