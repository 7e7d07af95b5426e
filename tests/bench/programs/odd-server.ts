/** A server for the benchmark that does what none of the real ones does. */
import pg from 'pg'
import type { OpenServer } from '../../../scripts/bench/servers/bench-server.ts'

export const open: OpenServer = async ({ main, other }) => {
  const [pool, otherPool] = [new pg.Pool({ connectionString: main }), new pg.Pool({ connectionString: other })]
  const insert = (label: string) => pool.query('insert into note (label) values ($1) returning id, label', [label])
  let requests = 0
  return {
    middleware: [],
    handlers: {
      /** Two databases at once. */
      async read() {
        await Promise.all([pool.query('select 1'), otherPool.query('select 2')])
        return {}
      },
      /** Does not wait for its ROLLBACK. */
      async 'read-in-transaction'() {
        const client = await pool.connect()
        await client.query('begin; select 1')
        void client.query('rollback').then(() => client.release())
        return {}
      },
      /** Every other request sends one statement more. */
      async 'read-write'() {
        await pool.query('select 1')
        if (requests++ % 2 === 1) await pool.query('select 2')
        return {}
      },
      /** Stores it twice. */
      async write(_, label) {
        await insert(label)
        return (await insert(label)).rows[0]
      },
      /** Leaves what it wrote. */
      async fail(ctx, label) {
        await insert(label)
        ctx.throw(409, 'as asked for')
      },
    },
    async close() {
      await pool.end()
      await otherPool.end()
    },
  }
}
