import { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'

/** PostgreSQL's NAMEDATALEN - 1, in bytes. It cuts what is longer, so that two long names may become one. */
const LONGEST = 63
const HASH_DIGITS = 12

/**
 * The name itself where it has 63 bytes of UTF-8 or less, else its beginning and a hash of the whole of it: 63 bytes or
 * less, always the same for the same name, and another one for another name.
 */
export function shortenName(name: string): string {
  if (Buffer.byteLength(name) <= LONGEST) return name
  const hash = createHash('sha256').update(name).digest('hex').slice(0, HASH_DIGITS)
  return `${beginningOf(name, LONGEST - HASH_DIGITS - 1)}_${hash}`
}

/** As many whole characters as fit into `bytes`. */
function beginningOf(name: string, bytes: number): string {
  const { read } = new TextEncoder().encodeInto(name, new Uint8Array(bytes))
  return name.slice(0, read)
}
