import type { PoolClient } from 'pg'

/** What pg keeps to itself, as pg-pool reads it too: https://github.com/brianc/node-postgres/blob/master/packages/pg-pool/index.js */
interface Internals {
  readonly readyForQuery?: boolean
  readonly _queryable?: boolean
  readonly _ending?: boolean
  readonly _ended?: boolean
}

const SQLSTATE = /^[0-9A-Z]{5}$/

/**
 * Whether PostgreSQL sent this error. Other words of it are in the language of the server, also the severity that pg
 * hands on.
 */
export function hasSqlState(error: unknown): boolean {
  const { code } = (error ?? {}) as { readonly code?: unknown }
  return typeof code === 'string' && SQLSTATE.test(code)
}

/**
 * Whether a pool gave up the wait for a client that another has, after its `connectionTimeoutMillis`: that says nothing of the
 * server. There is no code: https://github.com/brianc/node-postgres/blob/master/packages/pg-pool/index.js
 */
export function isPoolTimeout(error: unknown): boolean {
  return error instanceof Error && error.message === 'timeout exceeded when trying to connect'
}

/** Whether the connection of a client is known to be gone. */
export function isLost(client: PoolClient): boolean {
  const { _queryable, _ending, _ended } = client as Internals
  return _queryable === false || _ending === true || _ended === true
}

/**
 * Calls `then` with the error of a statement when it is known what the error leaves behind. PostgreSQL sends an error first, and
 * afterwards either says that it is ready again, or closes the connection. No code says which: functions and foreign
 * servers raise those of lost connections too.
 */
export function whenAnswered(client: PoolClient, error: unknown, then: (error: unknown) => void): void {
  // Errors of pg itself, such as a time limit, may come long before the server is through.
  if (isLost(client) || !hasSqlState(error)) return then(error)
  onceThrough(client, () => then(error))
}

/** Waits until the server is through with what was sent, or the connection is gone: its error may be there already. */
export async function untilReady(client: PoolClient): Promise<void> {
  if (isLost(client) || (client as Internals).readyForQuery !== false) return
  await new Promise<void>((resolve) => onceThrough(client, resolve))
}

function onceThrough(client: PoolClient, then: () => void): void {
  const events = ['drain', 'error', 'end'] as const
  function done(): void {
    for (const event of events) client.off(event, done)
    then()
  }
  for (const event of events) client.on(event as 'end', done)
}

/** Waits for an answer over `client`, which may never come where the connection is lost. @throws the error of `lost` then */
export function orLost<T>(client: PoolClient, answer: Promise<T>, lost: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const lose = (): void => reject(lost())
    client.once('end', lose)
    void answer.then(resolve, reject).finally(() => client.off('end', lose))
    if (isLost(client)) lose()
  })
}
