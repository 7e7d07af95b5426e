import { readdir } from 'node:fs/promises'
import { join, parse } from 'node:path'
import process from 'node:process'
import { lastUse, removeDatabase } from './sqlite-files.ts'
import { randomName, RUN_LENGTH, type NamedDatabase, type TemplateNames } from './template-names.ts'

/** As of databases of a server: see there. */
const TEST_KEPT_MS = 60_000
const TEMPLATE_KEPT_MS = 3_600_000

interface Found {
  readonly path: string
  readonly is: NamedDatabase
  /** Milliseconds since it was written to or given out. */
  readonly idle: number
}

/** A file does not show who has it open: the name of a run has the process that began it. */
export function newRun(): string {
  return randomName() + process.pid.toString(36)
}

function isAlive(run: string): boolean {
  try {
    return process.kill(Number.parseInt(run.slice(RUN_LENGTH), 36), 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/**
 * Removes what earlier runs left beside the file: the test databases of processes that are over, where none of the run was
 * touched in the last minute; and, as on a server, old templates and what was half built.
 */
export async function removeLeftovers(url: string, names: TemplateNames, hash: string): Promise<void> {
  const found = await find(url, names)
  const runs = found.flatMap(({ is, idle }) =>
    is.kind === 'test' && (idle < TEST_KEPT_MS || isAlive(is.run)) ? [is] : [],
  )
  for (const { path, is, idle } of found) {
    const isUsed =
      is.kind === 'test'
        ? runs.some(({ run }) => run === is.run)
        : is.kind === 'template' &&
          (is.hash === hash || idle < TEMPLATE_KEPT_MS || runs.some((run) => run.hash === is.hash))
    if (!isUsed) await removeDatabase(path)
  }
}

async function find(url: string, names: TemplateNames): Promise<Found[]> {
  const { dir, ext } = parse(url)
  const found: Found[] = []
  for (const file of await readdir(dir)) {
    const is = file.endsWith(ext) ? names.parse(file.slice(0, file.length - ext.length)) : undefined
    if (is === undefined) continue
    const path = join(dir, file)
    const used = Math.max(await lastUse(path), await lastUse(`${path}-wal`))
    found.push({ path, is, idle: Date.now() - used })
  }
  return found
}
