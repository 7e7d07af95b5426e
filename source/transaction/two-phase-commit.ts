import { isThenable } from './call-out.ts'
import type { DataManager } from './data-manager.ts'
import { labelOf } from './describe.ts'
import { TransactionUsageError } from './errors.ts'
import type { TransactionCore } from './transaction-core.ts'

const passes = ['tpcBegin', 'commit', 'tpcVote', 'tpcFinish'] as const

/**
 * Runs the four passes over the data managers, in the order given, and notes the votes that have returned. Cleans up after an
 * error.
 */
export async function runPasses(order: readonly DataManager[], core: TransactionCore): Promise<void> {
  const { transaction, calls } = core
  try {
    for (const pass of passes) {
      if (pass === 'tpcFinish') core.manager?.finishing?.(order)
      for (const resource of order) {
        calls.announce(pass, resource)
        const answer = resource[pass](transaction)
        if (isThenable(answer)) await calls.settle(answer, pass, resource)
        // Finishing is out once a participant has aborted; from the first tpcFinish on there is no way back.
        if (pass !== 'tpcFinish') core.assertNotEndedInside('commit')
        if (pass === 'tpcVote') core.voted.push(resource)
      }
    }
  } catch (error) {
    await giveUp(order, core, error)
  }
}

async function giveUp(order: readonly DataManager[], core: TransactionCore, error: unknown): Promise<never> {
  await cleanUp(order, core)
  try {
    await core.synchronize('afterCompletion')
  } catch (second) {
    core.calls.suppress(error, 'commit')
    throw second
  }
  throw error
}

/**
 * Cleans up after an error: `abort` of those that have not voted, then `tpcAbort` of all, also after an error in one.
 *
 * The list may be live: a participant that ends the transaction meanwhile empties it.
 */
export async function cleanUp(order: readonly DataManager[], core: TransactionCore): Promise<void> {
  const { transaction, calls } = core
  for (const method of ['abort', 'tpcAbort'] as const) {
    for (let index = 0; index < order.length; index++) {
      const resource = order[index] as DataManager
      // Looked up each time: a participant may run another commit meanwhile.
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

/** Copies the data managers in the order of a commit. Each key is evaluated once; equal keys keep the order of joining. */
export function sortByKey(resources: readonly DataManager[]): DataManager[] {
  const keyed = resources.map((resource) => ({ resource, key: keyOf(resource) }))
  if (keyed.length > 1) {
    for (const { resource, key } of keyed) if (key === undefined) throw noSortKey(resource)
    keyed.sort((left, right) => compareByCharacter(left.key as string, right.key as string))
  }
  return keyed.map(({ resource }) => resource)
}

// Zope accepts a data manager without the method if it is the only one; only a caller without types can leave it out.
function keyOf(resource: Partial<DataManager>): string | undefined {
  return resource.sortKey?.()
}

function noSortKey(resource: DataManager): TransactionUsageError {
  return new TransactionUsageError(
    'SQLASSIST_NO_SORT_KEY',
    `The data manager ${labelOf(resource)} has no sortKey, so its place among the others in a commit is not known; ` +
      "give it one: sortKey() { return 'something stable' }",
  )
}

/**
 * Compares by character, not by language: `B` before `a`, `10` before `9`.
 *
 * `<` would compare UTF-16 units, and so put a character beyond U+FFFF (two units from U+D800 on) before U+E000.
 */
function compareByCharacter(left: string, right: string): number {
  if (left === right) return 0
  let index = 0
  while (index < left.length && left.charCodeAt(index) === right.charCodeAt(index)) index++
  return rankOf(left, index) - rankOf(right, index)
}

function rankOf(key: string, index: number): number {
  if (index >= key.length) return -1
  const unit = key.charCodeAt(index)
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit
}
