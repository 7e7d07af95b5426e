/**
 * Prepares a template in a process of its own, clones the database of a worker and ends: `node prepare.ts <url> <key>`. Prints as
 * JSON the template, how often migrate was called, and the url of the clone. With `dies` behind them it is killed in `migrate`.
 */
import process from 'node:process'
import { prepareTemplate, workerDatabase } from '../../../source/testing/index.ts'
import { migration } from '../templates-world.ts'

const [url = '', key = '', dies] = process.argv.slice(2)
const { migrate, calls } = migration()
const template = await prepareTemplate({
  url,
  key,
  async migrate(target) {
    await migrate(target)
    if (dies !== undefined) process.kill(process.pid, 'SIGKILL')
  },
})
const clone = await workerDatabase(template)
process.stdout.write(JSON.stringify({ template, calls: calls(), clone }))
