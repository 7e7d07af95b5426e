import type { SqlEntityManager } from '@mikro-orm/sql'
import type { ConnectionUser } from '../connection-waits.ts'
import { ConnectionLostError } from '../errors.ts'
import { SqlassistError } from '../../transaction/index.ts'
import type { Cancelling } from '../cancelling.ts'
import { isNotThere, notWaitedFor } from './not-there.ts'
import type { PooledClient } from './pooled-client.ts'
import type { Replica } from './replica.ts'
import { isPoolTimeout } from './server-errors.ts'

/** Who takes a client. */
export interface Taker {
  readonly role: string
  readonly em: SqlEntityManager
  readonly user: ConnectionUser | undefined
  readonly cancelling: Cancelling
}

/**
 * Takes a client from the pool of a replica. Where the replica is found to be down meanwhile, the wait is over, and
 * where it is cancelled.
 * @throws ConnectionLostError, with what kept the connection from being opened; ConnectionDeadlockError; NotThere, where
 *   cancelled; the error of the pool where all its clients were in use for too long
 */
export async function takeFrom(replica: Replica, { role, em, user, cancelling }: Taker): Promise<PooledClient> {
  if (!replica.isUsable)
    throw new ConnectionLostError(role, new Error(`the replica ${replica.name} is ${replica.state}`))
  const { promise, resolve, reject } = Promise.withResolvers<PooledClient>()
  let ending: Error | undefined
  const end = (error: Error): void => {
    ending ??= error
    reject(error)
  }
  const stop = replica.onLeave(end)
  const stopListening = cancelling.listen(() => end(notWaitedFor(replica)))
  replica.clients.take(em, false, user).then((held) => {
    if (ending === undefined) resolve(held)
    // A client that comes too late may lead to a server that was given up.
    else void held.release(!isNotThere(ending))
  }, reject)
  try {
    return await promise
  } catch (error) {
    const isOfReplica = !(error instanceof SqlassistError || isNotThere(error) || isPoolTimeout(error))
    throw isOfReplica ? new ConnectionLostError(role, error) : error
  } finally {
    stop()
    stopListening()
  }
}
