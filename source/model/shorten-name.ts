import { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'

/** PostgreSQL's NAMEDATALEN - 1, in bytes. PostgreSQL cuts longer names, so that two may become one. */
const LONGEST = 63
const HASH_DIGITS = 12

/**
 * Returns a name of at most 63 bytes of UTF-8 as it is, a longer one as its beginning and a hash of the whole. Equal names
 * give equal results, different names different ones.
 */
export function shortenName(name: string): string {
  if (Buffer.byteLength(name) <= LONGEST) return name
  const hash = createHash('sha256').update(name).digest('hex').slice(0, HASH_DIGITS)
  return `${beginningOf(name, LONGEST - HASH_DIGITS - 1)}_${hash}`
}

/** Returns as many whole characters as fit into `bytes`. */
function beginningOf(name: string, bytes: number): string {
  const { read } = new TextEncoder().encodeInto(name, new Uint8Array(bytes))
  return name.slice(0, read)
}
