/** Imports one block and does its exercise: `node run-block.ts <title> <file>`. */
import process from 'node:process'
import { exercises } from './exercises.ts'
import * as prelude from './prelude.ts'
import { closeServers, listenAnywhere } from './servers.ts'

const [title = '', file = ''] = process.argv.slice(2)
const exercise = exercises[title]
if (exercise === undefined) throw new Error(`there is no exercise for "${title}"`)
listenAnywhere()
try {
  await exercise(async () => (await import(file)) as Record<string, unknown>, prelude)
  process.stdout.write(`\nexercised\n`)
} finally {
  await closeServers()
  await prelude.closeOrms()
}
