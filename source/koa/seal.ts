import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import type { Context } from 'koa'

const CIPHER = 'aes-256-gcm'
const KEY_BYTES = 32
const IV_BYTES = 12
const TAG_BYTES = 16
const PURPOSE = 'koa-sqlassist position'

/** What has the keys. */
type Sealing = Pick<Context, 'app'>

/** A Keygrip, which may keep its keys to itself. */
interface Signer {
  sign(data: string): string
}

const known = new WeakMap<object, readonly Buffer[]>()

/**
 * Seals `text` with the first of the application's keys, so that a client can neither read nor change it. Without keys it stays
 * as it is: what is safe does not rest on the seal.
 */
export function seal(ctx: Sealing, text: string): string {
  const [key] = keysOf(ctx)
  // A header takes no other characters, of which names of roles may be.
  if (key === undefined) return encodeURI(text)
  const iv = randomBytes(IV_BYTES)
  const cipher = createCipheriv(CIPHER, key, iv)
  return Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64url')
}

/** Opens what `seal` has made, by any of the keys. Undefined for anything else. */
export function unseal(ctx: Sealing, sealed: string): string | undefined {
  const keys = keysOf(ctx)
  if (keys.length === 0) return plain(sealed)
  const bytes = Buffer.from(sealed, 'base64url')
  if (bytes.length <= IV_BYTES + TAG_BYTES) return undefined
  for (const key of keys) {
    const text = unsealWith(key, bytes)
    if (text !== undefined) return text
  }
  return undefined
}

function plain(text: string): string | undefined {
  try {
    return decodeURI(text)
  } catch {
    // No text that was encoded.
    return undefined
  }
}

function unsealWith(key: Buffer, bytes: Buffer): string | undefined {
  try {
    const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, IV_BYTES))
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
    const text = decipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES))
    return Buffer.concat([text, decipher.final()]).toString('utf8')
  } catch {
    // Of another key, or of nobody's.
    return undefined
  }
}

function keysOf({ app }: Sealing): readonly Buffer[] {
  const { keys } = app as { readonly keys?: readonly unknown[] | Signer | undefined }
  if (typeof keys !== 'object' || keys === null) return []
  const before = known.get(keys)
  if (before !== undefined) return before
  const secrets = Array.isArray(keys) ? keys.map(String) : [(keys as Signer).sign(PURPOSE)]
  const derived = secrets.map((secret) => Buffer.from(hkdfSync('sha256', secret, '', PURPOSE, KEY_BYTES)))
  known.set(keys, derived)
  return derived
}
