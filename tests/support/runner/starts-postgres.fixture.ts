import { existsSync } from 'node:fs'
import process from 'node:process'
import { postgres } from '../postgres.ts'
import { suite } from '../suite.ts'

const test = suite('starter')
test('starts a server, and ends otherwise than by its last line', async () => {
  const { adminQuery } = await postgres()
  const [row] = await adminQuery<{ pid: string; folder: string }>(
    "select split_part(pg_read_file('postmaster.pid'), e'\\n', 1) pid, current_setting('data_directory') folder",
  )
  process.stdout.write(`${JSON.stringify({ ...row, exists: existsSync(row?.folder ?? '') })}\n`)
  if (process.env['ENDING'] === 'exit') process.exit(3)
  await new Promise(() => undefined)
})
test.run()
