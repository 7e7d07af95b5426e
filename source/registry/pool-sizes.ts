import process from 'node:process'
import type { PoolSize } from '../database/database.ts'
import type { Engine } from '../role/engine.ts'

/** Any server allows that many, so that it is not asked. */
const FEW = 20

type Sized = Engine & { readonly poolSize: PoolSize }

/**
 * Warns of servers that allow fewer connections than the pools of `processes` processes may open. One that cannot be asked, or
 * that stands behind a pooler, is left out.
 */
export async function warnOfPoolSizes(engines: readonly Engine[], processes: number): Promise<void> {
  const sized = engines.filter((engine): engine is Sized => engine.poolSize !== undefined)
  for (const sharing of Map.groupBy(sized, ({ poolSize }) => poolSize.server).values()) {
    const perProcess = sharing.reduce((sum, { poolSize }) => sum + poolSize.max, 0)
    const inAll = perProcess * processes
    if (inAll <= FEW) continue
    const allowed = await sharing[0]?.allowedConnections().catch(() => undefined)
    if (allowed === undefined || inAll <= allowed) continue
    const pools = sharing.map(({ role, poolSize }) => `"${role}" (${poolSize.max})`).join(', ')
    const of = processes === 1 ? '' : `, and ${inAll} with ${processes} processes`
    process.emitWarning(
      `The pools of ${pools} may open ${perProcess} connections${of}, and their server allows ${allowed}: those that come ` +
        `last would be refused. Lower the max of the pools, or raise max_connections in postgresql.conf, or put PgBouncer ` +
        `in front.`,
      { code: 'SQLASSIST_POOLS_TOO_LARGE' },
    )
  }
}
