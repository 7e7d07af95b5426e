import type { DataManager } from './data-manager.ts'
import { labelOf } from './describe.ts'
import { TransactionUsageError } from './transaction-errors.ts'

/** A copy in the order of a commit: each key evaluated once, in the order of joining; equal keys keep that order. */
export function sortByKey(resources: readonly DataManager[]): DataManager[] {
  const keyed = resources.map((resource) => ({ resource, key: keyOf(resource) }))
  if (keyed.length > 1) {
    for (const { resource, key } of keyed) if (key === undefined) throw noSortKey(resource)
    keyed.sort((left, right) => compareByCharacter(left.key as string, right.key as string))
  }
  return keyed.map(({ resource }) => resource)
}

// Only a caller without types can leave the method out, and Zope lets it as long as there is nothing to compare with.
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
 * By character, not by language: `B` before `a`, `10` before `9`.
 *
 * `<` compares UTF-16 units, by which a character beyond U+FFFF (two units from U+D800 on) would stand before U+E000.
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
