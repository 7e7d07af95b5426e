import type { AppContext } from '../context.ts'
import { User } from '../entities/user.ts'
import type { Passwords } from '../security/passwords.ts'
import { assertFree } from './assert-free.ts'

export interface Registration {
  readonly username: string
  readonly email: string
  readonly password: string
}

/** A new user, or a 422 that names what is taken. */
export async function register(
  { dbSession }: AppContext,
  passwords: Passwords,
  registration: Registration,
): Promise<User> {
  const { username, email, password } = registration
  const { reader, writer } = dbSession
  await assertFree(reader, { username, email })
  // Slow on purpose, and it holds nothing: the transaction begins with the first statement, not with the request.
  const passwordHash = await passwords.hash(password)
  const user = writer.create(User, { username, email, passwordHash })
  // Sent now, committed at the end: of two who want one name at the same moment, one shall be told before it is answered.
  await writer.flush()
  return user
}
