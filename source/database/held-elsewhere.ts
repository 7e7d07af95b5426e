import type { ConnectionUser } from './connection-waits.ts'

const held = new WeakMap<object, ConnectionUser[]>()

/**
 * Notes that `user` holds a connection that MikroORM took, out of those of `connection`, which is MikroORM's. Returns what
 * notes the end of that.
 */
export function holdElsewhere(connection: object, user: ConnectionUser): () => void {
  const users = held.get(connection) ?? []
  held.set(connection, users)
  users.push(user)
  return () => {
    const place = users.indexOf(user)
    if (place >= 0) users.splice(place, 1)
  }
}

/** The users of connections that MikroORM took. */
export function heldElsewhere(connection: object): readonly ConnectionUser[] {
  return held.get(connection) ?? []
}
