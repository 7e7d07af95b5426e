import process from 'node:process'
import { ConfigurationError } from '../../role/errors.ts'

/** @throws ConfigurationError where NODE_ENV is `production`: a test drops databases */
export function assertNotInProduction(what: string): void {
  if (process.env['NODE_ENV'] !== 'production') return
  throw new ConfigurationError(
    `${what} is for tests, which create and drop databases, and NODE_ENV is "production". Run the tests with NODE_ENV=test.`,
  )
}
