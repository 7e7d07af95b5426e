import { getByColumnExactThenIlike } from 'koa-sqlassist'
import { unauthorized } from '../api-error.ts'
import type { AppContext } from '../context.ts'
import { User } from '../entities/user.ts'
import type { Passwords } from '../security/passwords.ts'

export interface Credentials {
  readonly email: string
  readonly password: string
}

/** Whose address and password these are, or a 401 that does not tell which of them was wrong. */
export async function signIn(
  { dbSession }: AppContext,
  passwords: Passwords,
  { email, password }: Credentials,
): Promise<User> {
  // Hardly anybody remembers whether it was Ada@ or ada@; who wrote it exactly comes first.
  const user = await getByColumnExactThenIlike(dbSession.reader, User, 'email', email)
  const matches = await passwords.matches(password, user?.passwordHash)
  if (!user || !matches) throw unauthorized('credentials', 'invalid')
  return user
}
