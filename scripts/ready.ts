/** Says at once what would keep some of the tests from running: `node scripts/ready.ts`. Exits with 1 then. */
import process from 'node:process'
import { obstacleToBrowser } from '../tests/support/browser.ts'
import { usePostgres } from '../tests/support/postgres.ts'
import { obstacleToServer } from '../tests/support/reachable-binaries.ts'

for (const obstacle of [await obstacleToPostgres(), obstacleToBrowser()]) {
  if (obstacle === undefined) continue
  process.stderr.write(`${obstacle}\n`)
  process.exitCode = 1
}

/** Of the server that is given, or of one that is to be started. */
async function obstacleToPostgres(): Promise<string | undefined> {
  const given = process.env['KOA_SQLASSIST_TEST_POSTGRES']
  if (!given) return obstacleToServer()
  try {
    await (await usePostgres(given)).leave()
    return undefined
  } catch (error) {
    return `KOA_SQLASSIST_TEST_POSTGRES: ${(error as Error).message}`
  }
}
