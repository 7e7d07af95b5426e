import type { SqlEntityManager } from '@mikro-orm/sql'
import type { ConnectionUser } from '../connection-waits.ts'
import { ConnectionLostError } from '../errors.ts'
import { SqlassistError } from '../../transaction/index.ts'
import type { PooledClient } from './pooled-client.ts'
import type { Replica } from './replica.ts'

/**
 * Takes a client from the pool of a replica. Where the replica is found to be down meanwhile, the wait is over.
 * @throws ConnectionLostError, with what kept the connection from being opened; ConnectionDeadlockError
 */
export async function takeFrom(
  replica: Replica,
  role: string,
  em: SqlEntityManager,
  user: ConnectionUser | undefined,
): Promise<PooledClient> {
  const taking = replica.clients.take(em, false, user)
  let isLate = false
  // A client that comes too late leads to a server that was given up.
  taking.then(
    (held) => void (isLate && held.release(true)),
    () => undefined,
  )
  try {
    return await Promise.race([taking, replica.whenLeft])
  } catch (error) {
    isLate = true
    throw error instanceof SqlassistError ? error : new ConnectionLostError(role, error)
  }
}
