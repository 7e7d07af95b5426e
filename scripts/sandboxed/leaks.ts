import type pg from 'pg'
import * as unchanged from '../../tests/support/leaks.ts'
import { poolOf, type TestOrm } from '../../tests/support/orms.ts'
import { pinnedOf } from './registry.ts'

export { listenersOf, type LeakWatch } from '../../tests/support/leaks.ts'

export function watchLeaks(options: Parameters<typeof unchanged.watchLeaks>[0] = {}): unchanged.LeakWatch {
  return unchanged.watchLeaks({ ...options, pools: (options.pools ?? []).map(withoutPinned) })
}

export async function poolIdle(pool: pg.Pool): Promise<void> {
  await unchanged.poolIdle(withoutPinned(pool))
}

export async function ormsIdle(...orms: readonly TestOrm[]): Promise<void> {
  for (const orm of orms) if ('idleCount' in (await poolOf(orm))) await poolIdle(await poolOf(orm))
}

/** A pool as it would be without the connection that a sandbox has until its end. */
function withoutPinned(pool: pg.Pool): pg.Pool {
  return new Proxy(pool, {
    get: (target, name) =>
      name === 'idleCount' ? target.idleCount + pinnedOf(target) : (Reflect.get(target, name, target) as unknown),
  })
}
