import { isThenable } from './call-out.ts'
import type { DataManager } from './data-manager.ts'
import type { TransactionCore } from './transaction-core.ts'

/** Asks the data managers of a transaction, in the order of joining, until one says that trying again may help. */
export async function anyWantsRetry({ resources, calls }: TransactionCore, error: unknown): Promise<boolean> {
  for (let index = 0; index < resources.length; index++) {
    const resource = resources[index] as DataManager
    const answer = resource.shouldRetry?.(error)
    if (isThenable(answer) ? await calls.settle(answer, 'shouldRetry', resource) : answer) return true
  }
  return false
}
