/**
 * A position in PostgreSQL's write-ahead log, in bytes. A standby shows a commit to every snapshot that is taken when it has
 * replayed up to there.
 */
export type WalPosition = bigint

/** Of a commit that was carried out, and of which nobody could say where it is. No standby is ever there. */
export const UNKNOWN_POSITION: WalPosition = 2n ** 64n

const TEXT = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/

/** Reads what PostgreSQL writes for one, such as `0/1802000`; undefined for anything else. */
export function parsePosition(text: unknown): WalPosition | undefined {
  const parts = typeof text === 'string' ? TEXT.exec(text) : null
  return parts === null ? undefined : (BigInt(`0x${parts[1]}`) << 32n) | BigInt(`0x${parts[2]}`)
}

/** Writes one as PostgreSQL does. */
export function formatPosition(position: WalPosition): string {
  return `${hex(position >> 32n)}/${hex(position & 0xffffffffn)}`
}

function hex(part: bigint): string {
  return part.toString(16).toUpperCase()
}

export function laterOf(one: WalPosition, other: WalPosition): WalPosition {
  return one > other ? one : other
}
