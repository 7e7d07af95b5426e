import { waitForConnection, type ConnectionSource, type ConnectionUser } from '../database/connection-waits.ts'

/** What uses a connection of Kysely's. */
type Consumer = (connection: any) => Promise<unknown>

/** What a statement of MikroORM's waits for. */
interface Waiting {
  readonly user: ConnectionUser
  readonly role: string
  readonly source: ConnectionSource
}

/**
 * Calls `provide`, Kysely's provideConnection(), which waits for a connection, and gives up where that has no end.
 * @throws ConnectionDeadlockError
 */
export async function provideInTurn(
  provide: (consumer: Consumer) => Promise<unknown>,
  consumer: Consumer,
  waiting: Waiting,
): Promise<unknown> {
  const taken = Promise.withResolvers<void>()
  const turn = waitForConnection(taken.promise, waiting, () => undefined)
  const consumed = provide(async (connection) => {
    taken.resolve()
    await turn
    return await consumer(connection)
  })
  consumed.catch(taken.reject)
  await turn
  return await consumed
}
