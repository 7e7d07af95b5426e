import type { ConnectionUser } from '../connection-waits.ts'

/** What holds a client of a pool. */
interface Holder {
  /** Who it is taken for. Undefined where that is unknown, or it is about to come back. */
  readonly user: ConnectionUser | undefined
  /** Whether a statement is on its way. */
  readonly isRunning: boolean
}

/** On a client of a pool: what holds it. */
const HOLDER = Symbol('koa-sqlassist holder')

type Client = object & { [HOLDER]?: Holder | undefined }

/** Notes what holds `client` from here on. */
export function noteHolder(client: Client, holder: Holder | undefined): void {
  client[HOLDER] = holder
}

/** Who holds a client of a pool and runs nothing on it, where that is known. */
export function idleUserOf(client: Client): ConnectionUser | undefined {
  const holder = client[HOLDER]
  return holder?.isRunning === false ? holder.user : undefined
}
