import type { PreparedTransactions } from '../database/prepared.ts'
import type { Engine } from '../role/engine.ts'

type Finishing = Pick<PreparedTransactions, 'has' | 'finish'>

const NOTHING_PREPARED: Finishing = { has: async () => false, finish: async () => false }

/** The prepared transactions in a role's database; none where the database cannot prepare. */
export function preparedOf({ database }: Engine): Finishing {
  return database.prepared ?? NOTHING_PREPARED
}
