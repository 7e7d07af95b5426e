import type { User } from '../entities/user.ts'

export function userJson(user: User, token: string) {
  return { email: user.email, token, username: user.username, bio: user.bio, image: user.image }
}

/** What others see of a user. */
export function profileJson(user: User, following: boolean) {
  return { username: user.username, bio: user.bio, image: user.image, following }
}
