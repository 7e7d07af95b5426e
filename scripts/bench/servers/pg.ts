/** The floor on PostgreSQL: pg without an ORM. A transaction is three statements, each waited for. */
import pg from 'pg'
import { POOL } from '../databases.ts'
import { FAILURE } from '../works.ts'
import type { OpenServer } from './bench-server.ts'

const SELECT = 'select id, title, views from article where id = $1'
const INSERT = 'insert into note (label) values ($1) returning id, label'

export const open: OpenServer = async ({ main, other }) => {
  const [pool, otherPool] = [main, other].map((url) => new pg.Pool({ connectionString: url, min: POOL, max: POOL }))
  const write = (label: string) =>
    inTransaction(pool!, async (client) => (await client.query(INSERT, [label])).rows[0] as unknown)
  return {
    middleware: [],
    handlers: {
      read: async (_, id) => (await pool!.query(SELECT, [id])).rows[0],
      'read-in-transaction': (_, id) =>
        inTransaction(pool!, async (client) => (await client.query(SELECT, [id])).rows[0] as unknown),
      write: (_, label) => write(label),
      'read-write': (_, id) =>
        inTransaction(pool!, async (client) => {
          const { rows } = await client.query(SELECT, [id])
          const article = rows[0] as { id: number; title: string; views: number }
          article.views += 1
          await client.query('update article set views = $1 where id = $2', [article.views, article.id])
          return article
        }),
      two: (_, label) =>
        inTransaction(pool!, async (client) => {
          const { rows } = await client.query(INSERT, [label])
          await inTransaction(otherPool!, (otherClient) => otherClient.query(INSERT, [label]))
          return rows[0] as unknown
        }),
      fail: (ctx, label) =>
        inTransaction(pool!, async (client) => {
          await client.query(INSERT, [label])
          ctx.throw(409, FAILURE)
        }),
    },
    async close() {
      await pool!.end()
      await otherPool!.end()
    },
  }
}

async function inTransaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  try {
    await client.query('begin')
    const result = await work(client)
    await client.query('commit')
    return result
  } catch (error) {
    await client.query('rollback')
    throw error
  } finally {
    client.release()
  }
}
