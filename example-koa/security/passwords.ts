import { randomBytes, scrypt as scryptWithCallback, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

const scrypt = promisify<string, Buffer, number, Buffer>(scryptWithCallback)
const SALT_BYTES = 16
const KEY_BYTES = 32

/** `scrypt$<salt>$<key>`, both in base64url. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES)
  const key = await scrypt(password, salt, KEY_BYTES)
  return ['scrypt', salt.toString('base64url'), key.toString('base64url')].join('$')
}

/**
 * Whether `password` is the one that was hashed. Without a hash (there is no such user) it takes as long and says no,
 * so that the time of an answer does not tell which addresses are registered.
 */
export async function isPassword(password: string, hash: string | undefined): Promise<boolean> {
  const [, salt = '', key = ''] = hash?.split('$') ?? []
  const expected = Buffer.from(key, 'base64url')
  const actual = await scrypt(password, Buffer.from(salt, 'base64url'), KEY_BYTES)
  return expected.length === actual.length && timingSafeEqual(expected, actual)
}
