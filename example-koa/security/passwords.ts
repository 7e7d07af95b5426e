import { randomBytes, scrypt as scryptWithCallback, timingSafeEqual, type ScryptOptions } from 'node:crypto'
import { promisify } from 'node:util'

const scrypt = promisify<string, Buffer, number, ScryptOptions, Buffer>(scryptWithCallback)
const SALT_BYTES = 16
const KEY_BYTES = 32

/** Hashes passwords, and recognises them. */
export class Passwords {
  readonly #cost: number

  /** `cost` is scrypt's: a power of two, in time and memory (16 MB by default). Hashes of another cost stay good. */
  constructor(cost = 2 ** 14) {
    this.#cost = cost
  }

  /** `scrypt$<cost>$<salt>$<key>`, the last two in base64url. */
  async hash(password: string): Promise<string> {
    const salt = randomBytes(SALT_BYTES)
    const key = await scrypt(password, salt, KEY_BYTES, { cost: this.#cost })
    return ['scrypt', this.#cost, salt.toString('base64url'), key.toString('base64url')].join('$')
  }

  /**
   * Whether `password` is the one that was hashed. Without a hash (there is no such user) it takes as long and says no,
   * so that the time of an answer does not tell which addresses are registered.
   */
  async matches(password: string, hash: string | undefined): Promise<boolean> {
    const [, cost = '', salt = '', key = ''] = hash?.split('$') ?? []
    const expected = Buffer.from(key, 'base64url')
    const options = { cost: Number(cost) || this.#cost }
    const actual = await scrypt(password, Buffer.from(salt, 'base64url'), KEY_BYTES, options)
    return expected.length === actual.length && timingSafeEqual(expected, actual)
  }
}
