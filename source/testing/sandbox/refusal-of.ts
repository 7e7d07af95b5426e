/** What PostgreSQL answers to a statement of a transaction that has failed. */
export function refusalOf(cause: unknown): Error {
  const message = 'current transaction is aborted, commands ignored until end of transaction block'
  return Object.assign(new Error(message, { cause }), { code: '25P02', severity: 'ERROR' })
}
