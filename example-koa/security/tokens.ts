import { jwtVerify, SignJWT } from 'jose'
import { JOSEError } from 'jose/errors'

const ALGORITHM = 'HS256'
const LIFETIME = '60d'

/** Signs and verifies the tokens that stand for a signed-in user. */
export class Tokens {
  readonly #secret: Uint8Array

  constructor(secret: Uint8Array) {
    this.#secret = secret
  }

  async sign(userId: string): Promise<string> {
    return new SignJWT()
      .setProtectedHeader({ alg: ALGORITHM })
      .setSubject(userId)
      .setIssuedAt()
      .setExpirationTime(LIFETIME)
      .sign(this.#secret)
  }

  /** The id of the user the token was signed for; undefined when it is forged, expired or no token at all. */
  async verify(token: string): Promise<string | undefined> {
    try {
      const { payload } = await jwtVerify(token, this.#secret, { algorithms: [ALGORITHM], requiredClaims: ['sub'] })
      return payload.sub
    } catch (error) {
      if (error instanceof JOSEError) return undefined
      throw error
    }
  }
}
