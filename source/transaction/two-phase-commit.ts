import { isThenable } from './call-out.ts'
import type { DataManager } from './data-manager.ts'
import type { TransactionCore } from './transaction-core.ts'

const passes = ['tpcBegin', 'commit', 'tpcVote', 'tpcFinish'] as const

/** The four passes over the data managers, in the order given. Whose vote has returned is marked. */
export async function runPasses(order: readonly DataManager[], core: TransactionCore): Promise<void> {
  const { transaction, calls } = core
  for (const pass of passes) {
    if (pass === 'tpcFinish') core.host?.finishing?.(order)
    for (const resource of order) {
      calls.announce(pass, resource)
      const answer = resource[pass](transaction)
      if (isThenable(answer)) await calls.settle(answer, pass, resource)
      // Nothing may be finished once a participant has aborted. From the first tpcFinish on there is no way back.
      if (pass !== 'tpcFinish') core.refuseEndedInside('commit')
      if (pass === 'tpcVote') core.voted.push(resource)
    }
  }
}

/**
 * After an error: `abort` for whoever has not voted, then `tpcAbort` for all. Everybody is told, whatever they throw.
 * The list may be live: a participant that ends the transaction meanwhile empties it.
 */
export async function cleanUp(order: readonly DataManager[], core: TransactionCore): Promise<void> {
  const { transaction, calls } = core
  for (const method of ['abort', 'tpcAbort'] as const) {
    for (let index = 0; index < order.length; index++) {
      const resource = order[index] as DataManager
      // Asked each time: a participant may run another commit meanwhile.
      if (method === 'abort' && core.voted.includes(resource)) continue
      try {
        calls.announce(method, resource)
        const answer = resource[method](transaction)
        if (isThenable(answer)) await calls.settle(answer, method, resource)
      } catch (error) {
        calls.suppress(error, method, resource)
      }
    }
  }
}
