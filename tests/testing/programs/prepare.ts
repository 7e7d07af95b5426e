/**
 * Prepares a template in a process of its own, clones the database of a worker and ends: `node prepare.ts <url> <key>`. Prints as
 * JSON the template, how often migrate was called, and the url of the clone.
 */
import process from 'node:process'
import { prepareTemplate, workerDatabase } from '../../../source/testing/index.ts'
import { migration } from '../templates-world.ts'

const [url = '', key = ''] = process.argv.slice(2)
const { migrate, calls } = migration()
const template = await prepareTemplate({ url, key, migrate })
const clone = await workerDatabase(template)
process.stdout.write(JSON.stringify({ template, calls: calls(), clone }))
