import type { Passwords } from './passwords.ts'
import type { Tokens } from './tokens.ts'

/** What proves who somebody is. */
export interface Security {
  readonly passwords: Passwords
  readonly tokens: Tokens
}
