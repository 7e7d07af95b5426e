import { setTimeout as pause } from 'node:timers/promises'
import type { Database as SqliteHandle, Statement } from 'better-sqlite3'

const FIRST_PAUSE_MS = 1
const LONGEST_PAUSE_MS = 32

/**
 * Runs `work` on a SQLite handle, and again while another connection holds the lock that it needs. Throws the
 * SQLITE_BUSY error when the handle's `busy_timeout` is over (better-sqlite3: 5000 ms, `driverOptions: { timeout }`).
 *
 * SQLite's own waiting would stop the event loop, so it is switched off for the moment in which `work` calls SQLite.
 * That call has to be before the first await of `work`.
 */
export async function waitWhileBusy<T>(handle: SqliteHandle, work: () => T | Promise<T>): Promise<T> {
  const timeoutMs = busyTimeoutMs(handle)
  const deadline = performance.now() + timeoutMs
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    try {
      return await withoutBlocking(handle, timeoutMs, work)
    } catch (error) {
      if (!isBusy(error) || performance.now() >= deadline) throw error
    }
    await pause(pauseMs)
  }
}

/**
 * Waits only outside of WAL mode, for what has to wait for nobody in it. Examples are reading, and going on once BEGIN
 * IMMEDIATE has the lock. The mode is asked once: nobody else can end it while the handle is open.
 */
export async function waitOutsideOfWal<T>(handle: SqliteHandle, work: () => T | Promise<T>): Promise<T> {
  return await (isWal(handle) ? work() : waitWhileBusy(handle, work))
}

const walModes = new WeakMap<SqliteHandle, boolean>()

function isWal(handle: SqliteHandle): boolean {
  let isIt = walModes.get(handle)
  if (isIt === undefined) walModes.set(handle, (isIt = handle.pragma('journal_mode', { simple: true }) === 'wal'))
  return isIt
}

const timeouts = new WeakMap<SqliteHandle, Statement>()

/** What the application has set. A PRAGMA by better-sqlite3's `pragma()` was measured to take five times as long as this. */
function busyTimeoutMs(handle: SqliteHandle): number {
  let asking = timeouts.get(handle)
  if (asking === undefined) {
    timeouts.set(handle, (asking = handle.prepare('select timeout from pragma_busy_timeout').pluck()))
  }
  return Number(asking.get())
}

function withoutBlocking<T>(handle: SqliteHandle, timeoutMs: number, work: () => T): T {
  handle.exec('pragma busy_timeout = 0')
  try {
    return work()
  } finally {
    handle.exec(`pragma busy_timeout = ${timeoutMs}`)
  }
}

/** SQLITE_BUSY_SNAPSHOT does not pass by waiting. */
function isBusy(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown }
  return code === 'SQLITE_BUSY' || code === 'SQLITE_BUSY_RECOVERY'
}
