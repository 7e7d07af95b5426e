import { copyFile, constants, link, rename, rm, stat, utimes } from 'node:fs/promises'

/** What SQLite has beside a file. */
const BESIDE = ['-wal', '-shm', '-journal']

export async function isThere(path: string): Promise<boolean> {
  return (await lastUse(path)) > 0
}

/** When it was written to or given out, in milliseconds; 0 where there is none. */
export async function lastUse(path: string): Promise<number> {
  const stats = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  return stats?.mtimeMs ?? 0
}

export async function touch(path: string): Promise<void> {
  const now = new Date()
  await utimes(path, now, now)
}

export async function removeDatabase(path: string): Promise<void> {
  for (const ending of ['', ...BESIDE]) await rm(path + ending, { force: true })
}

/** Replaces what is there. A file of its own: a connection that somebody left open in the other one cannot write to it. */
export async function copyTo(from: string, to: string, temporary: string): Promise<void> {
  await copyFile(from, temporary, constants.COPYFILE_FICLONE)
  await rename(temporary, to)
}

/** Replaces nothing: what another call has put there meanwhile may be in use. */
export async function copyIfMissing(from: string, to: string, temporary: string): Promise<void> {
  await copyFile(from, temporary, constants.COPYFILE_FICLONE)
  try {
    await link(temporary, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await rm(temporary)
  }
}
