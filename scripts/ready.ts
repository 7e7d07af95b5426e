/** Says at once what would keep some of the tests from running: `node scripts/ready.ts`. Exits with 1 then. */
import process from 'node:process'
import { obstacleToBrowser } from '../tests/support/browser.ts'
import { obstacleToServer } from '../tests/support/reachable-binaries.ts'

for (const obstacle of [obstacleToServer(), obstacleToBrowser()]) {
  if (obstacle === undefined) continue
  process.stderr.write(`${obstacle}\n`)
  process.exitCode = 1
}
