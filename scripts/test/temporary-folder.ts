import { existsSync, statfsSync } from 'node:fs'
import process from 'node:process'

const IN_MEMORY = '/dev/shm'
/** What the databases of a whole run take. */
const NEEDED_BYTES = 8 * 2 ** 30

/** Has the run, and the processes that it starts, keep files in memory where there is room, unless TMPDIR says where. */
export function useFastTemporaryFolder(): void {
  if (process.env['TMPDIR'] || !existsSync(IN_MEMORY) || process.availableMemory() < 2 * NEEDED_BYTES) return
  const { bavail, bsize } = statfsSync(IN_MEMORY)
  if (bavail * bsize >= NEEDED_BYTES) process.env['TMPDIR'] = IN_MEMORY
}
