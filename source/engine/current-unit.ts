import { AsyncLocalStorage } from 'node:async_hooks'
import type { UnitOfWork } from './unit-of-work.ts'

const storage = new AsyncLocalStorage<UnitOfWork>()

/** The unit of work that the running code was called in, if any. */
export function currentUnit(): UnitOfWork | undefined {
  return storage.getStore()
}

/** Runs `work` inside `unit`: the global entity managers of its roles resolve to its sessions. */
export function runInUnit<T>(unit: UnitOfWork, work: () => T): T {
  return storage.run(unit, work)
}
