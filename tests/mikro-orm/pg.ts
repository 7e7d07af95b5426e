/** What the library relies on of pg, on a connection out of MikroORM's pool. */
import { CompiledQuery } from 'kysely'
import pg from 'pg'
import * as assert from 'uvu/assert'
import { until } from '../support/until.ts'
import type { Reliance, Worlds } from './reliance.ts'

async function withClient(worlds: Worlds, work: (client: any, pool: any) => unknown, broken = false): Promise<void> {
  const pool: any = await worlds.postgres.orm.driver.getConnection('write').getNativeClient()
  const client = await pool.connect()
  const ignore = (): void => undefined
  client.on('error', ignore)
  try {
    await work(client, pool)
  } finally {
    if (!broken) client.off('error', ignore)
    client.release(broken)
  }
}

export const PG_RELIANCES: readonly Reliance[] = [
  {
    what: 'pg says in _queryable, _ending and _ended whether the connection of a client is lost',
    where: ['database/postgres/server-errors.ts'],
    forms: ['pg', 'narrowed'],
    why: 'the error of a lost connection is distinguished from an answer of the server',
    async check(worlds) {
      await withClient(
        worlds,
        async (client) => {
          assert.equal([client._queryable, client._ending, client._ended], [true, false, false])
          const ended = new Promise((resolve) => client.once('end', resolve))
          await worlds.postgres.look.rows('select pg_terminate_backend($1)', client.processID)
          await ended
          assert.ok(client._queryable === false && client._ended === true)
        },
        true,
      )
    },
  },
  {
    what: 'pg has the number of the server process of a client in processID',
    where: ['database/postgres/sending-client.ts'],
    forms: ['pg', 'narrowed'],
    why: 'it is published with each statement',
    async check(worlds) {
      await withClient(worlds, async (client) => {
        const { rows } = await client.query('select pg_backend_pid() as pid')
        assert.is(client.processID, rows[0].pid)
      })
    },
  },
  {
    what: "pg's class of a client's connection sends a request to cancel with the processID and secretKey of a client",
    where: ['database/postgres/cancel-request.ts'],
    forms: ['cast', 'pg'],
    why: 'a statement is cancelled over a connection of its own',
    async check(worlds) {
      await withClient(worlds, async (client) => {
        const { host, port, ssl, sslNegotiation, processID, secretKey, connection } = client
        assert.equal([typeof processID, typeof secretKey], ['number', 'number'])
        assert.equal([ssl, sslNegotiation, connection.stream.remoteAddress], [false, 'postgres', host])
        const request = new connection.constructor({ stream: undefined, ssl, sslNegotiation })
        const ended = new Promise((resolve) => request.once('end', resolve))
        const sleeping = client.query('select pg_sleep(300)').catch(({ code }: { code: string }) => code)
        // A request that comes before the statement cancels nothing.
        const asleep = `select count(*)::int as count from pg_stat_activity where pid = ${processID} and wait_event = 'PgSleep'`
        await withClient(worlds, async (other) => {
          await until(async () => (await other.query(asleep)).rows[0].count === 1)
        })
        request.once('connect', () => request.cancel(processID, secretKey))
        request.connect(port, host)
        await ended
        assert.is(await sleeping, '57014')
        assert.is(typeof request.requestSsl, 'function')
      })
    },
  },
  {
    what: 'pg knows the status of the transaction of a client by getTransactionStatus()',
    where: ['database/postgres/sending-client.ts'],
    forms: ['pg'],
    why: 'a client in a transaction is closed and not given back',
    async check(worlds) {
      await withClient(worlds, async (client) => {
        const seen = [client.getTransactionStatus()]
        await client.query('select 1')
        seen.push(client.getTransactionStatus())
        await client.query('begin')
        seen.push(client.getTransactionStatus())
        await client.query('select 1/0').catch(() => undefined)
        // The state comes behind the error.
        await client.query('')
        seen.push(client.getTransactionStatus())
        await client.query('rollback')
        assert.equal(seen.slice(1), ['I', 'T', 'E'])
      })
    },
  },
  {
    what: 'pg emits drain on a client when the server is ready again after an error',
    where: ['database/postgres/server-errors.ts'],
    forms: ['pg'],
    why: 'the outcome of a failed statement is decided only then',
    async check(worlds) {
      await withClient(worlds, async (client) => {
        await client.query('begin')
        const order: string[] = []
        const drained = new Promise<void>((resolve) => {
          client.once('drain', () => {
            order.push(`drain ${client.getTransactionStatus()}`)
            resolve()
          })
        })
        await new Promise<void>((resolve) => {
          client.query('select 1/0', [], () => {
            order.push('error')
            resolve()
          })
        })
        await drained
        await client.query('rollback')
        assert.equal(order, ['error', 'drain E'])
      })
    },
  },
  {
    what: 'pg says in readyForQuery whether the server is through with what a client has sent',
    where: ['database/postgres/server-errors.ts'],
    forms: ['pg'],
    why: 'a client that Kysely gives back after an error is judged only then',
    async check(worlds) {
      await withClient(worlds, async (client) => {
        const seen = [client.readyForQuery]
        const query = client.query('select 1')
        seen.push(client.readyForQuery)
        await query
        seen.push(client.readyForQuery)
        assert.equal(seen, [true, false, true])
      })
    },
  },
  {
    what: "Kysely takes a client by connect() of pg's pool, which the pool may have of its own",
    where: ['database/postgres/client-pool.ts'],
    forms: ['nativeClient'],
    why: 'the client of a connection of Kysely is known by it',
    async check(worlds) {
      const connection: any = worlds.postgres.orm.driver.getConnection('write')
      const pool: any = await connection.getNativeClient()
      const taken: unknown[] = []
      pool.connect = async () => {
        const client = await Object.getPrototypeOf(pool).connect.call(pool)
        taken.push(client.processID)
        return client
      }
      try {
        const { rows } = await connection.getClient().executeQuery(CompiledQuery.raw('select pg_backend_pid() as pid'))
        assert.equal(taken, [rows[0].pid])
      } finally {
        delete pool.connect
      }
    },
  },
  {
    what: "pg's class of a client has its Query, whose prepare() sends parse, bind, describe, and by _getRows() execute and sync",
    where: ['database/postgres/begin-with-parameters.ts'],
    forms: ['cast', 'constructor', 'subclass'],
    why: 'BEGIN goes ahead of a statement with parameters in one round trip, and what ends a read goes behind it',
    async check(worlds) {
      await withClient(worlds, async (client) => {
        const { Query } = client.constructor
        const prepared: string[] = []
        class Beginning extends (Query as new (...args: any[]) => any) {
          prepare(connection: any): void {
            prepared.push(...['parse', 'bind', 'describe', 'execute', 'sync'].map((name) => typeof connection[name]))
            connection.parse({ text: 'begin' })
            connection.bind({})
            connection.describe({ type: 'P' })
            connection.execute({})
            super['prepare'](connection)
          }
          _getRows(connection: any): void {
            connection.execute({})
            connection.parse({ text: 'savepoint a' })
            connection.bind({})
            connection.execute({})
            connection.sync()
          }
        }
        const results: any = await new Promise((resolve, reject) => {
          const query = new Beginning('select $1::int as one', [1], (error: unknown, answer: unknown) =>
            error === null ? resolve(answer) : reject(error),
          )
          client.query(query)
        })
        assert.equal(prepared, Array(5).fill('function'))
        assert.equal(
          results.map(({ command }: any) => command),
          ['BEGIN', 'SELECT', 'SAVEPOINT'],
        )
        assert.is(client.getTransactionStatus(), 'T')
        await client.query('rollback')
      })
    },
  },
  {
    what: "pg's class of a client has its Query, which keeps in _results what was carried out: one result, or an array of several",
    where: ['database/postgres/query-noting.ts'],
    forms: ['cast', 'constructor'],
    why: 'what was committed is known, also where a statement behind it fails',
    async check(worlds) {
      await withClient(worlds, async (client) => {
        const { Query } = client.constructor
        const commands = (sql: string): Promise<(string | null)[]> =>
          new Promise((resolve) => {
            const query = new Query(sql, undefined, () =>
              resolve([query._results].flat().map(({ command }: any) => command)),
            )
            client.query(query)
          })
        const failing = 'begin; commit; select 1 / (2 - number) from generate_series(1, 3) as number'
        assert.equal(await commands(failing), ['BEGIN', 'COMMIT', null])
        assert.equal(await commands('begin; commit; select 1 as one; no sql'), [null])
        assert.equal(await commands('commit'), ['COMMIT'])
      })
    },
  },
  {
    what: "pg's class of a client has its Query, whose handleCommandComplete() completes _result, of each statement",
    where: ['database/postgres/begin-with-parameters.ts'],
    forms: ['cast', 'constructor', 'subclass'],
    why: 'what was committed is known, and what a server has said of itself, also where a statement behind it fails',
    async check(worlds) {
      await withClient(worlds, async (client) => {
        const { Query } = client.constructor
        const results: any[] = []
        class Noting extends (Query as new (...args: any[]) => any) {
          handleCommandComplete(message: any, connection: any): void {
            super['handleCommandComplete'](message, connection)
            results.push(this['_result'])
          }
        }
        const failing: any = await new Promise((resolve) => {
          client.query(new Noting('begin; commit; select 1 as one; select 1 / 0', undefined, resolve))
        })
        assert.equal([results.map(({ command }) => command), failing.code], [['BEGIN', 'COMMIT', 'SELECT'], '22012'])
        assert.equal(results[2].rows, [{ one: 1 }])
      })
    },
  },
  {
    what: 'pg keeps the socket of a client as connection.stream, and unref() lets the process end before it',
    where: ['database/postgres/server-line.ts'],
    forms: ['cast', 'narrowed'],
    why: 'a server that is frozen answers no farewell, and questions beside the pool keep no process alive',
    async check(worlds) {
      await withClient(
        worlds,
        async (client) => {
          assert.is(typeof client.unref, 'function')
          const running = client.query('select pg_sleep(60)').catch((error: Error) => error.message)
          client.connection.stream.destroy()
          assert.is(await running, 'Connection terminated unexpectedly')
        },
        true,
      )
    },
  },
  {
    what: 'pg emits parameterStatus on the connection of a client when the server reports a setting',
    where: ['database/postgres/reported-settings.ts'],
    forms: ['narrowed'],
    why: 'a client whose settings were changed is cleaned before it is given back',
    async check(worlds) {
      await withClient(worlds, async (client) => {
        const reported: string[] = []
        client.connection.on('parameterStatus', ({ parameterName, parameterValue }: any) =>
          reported.push(`${parameterName} ${parameterValue}`),
        )
        await client.query(`begin; set local timezone to 'Asia/Tokyo'`)
        await client.query('rollback')
        assert.equal(reported, ['TimeZone Asia/Tokyo', 'TimeZone UTC'])
        client.connection.removeAllListeners('parameterStatus')
      })
    },
  },
  {
    what: "MikroORM listens to its pool's connect event once, and sets nothing then",
    where: ['database/postgres/client-pool.ts'],
    forms: ['nativeClient'],
    why: 'a client is closed instead of cleaned where somebody else sets up new ones',
    async check(worlds) {
      await withClient(worlds, async (_, pool) => assert.is(pool.listenerCount('connect'), 1))
    },
  },
  {
    what: "pg's pool lists in _clients the clients that connect() gives, and those that are being opened",
    where: ['database/postgres/client-pool.ts', 'database/postgres/side-connection.ts'],
    forms: ['pg'],
    why: 'a unit that would wait for ever is refused, which takes who holds the clients of the pool',
    async check(worlds) {
      await withClient(worlds, async (client, pool) => {
        assert.ok(pool._clients.includes(client))
        assert.is(pool._clients.length, pool.totalCount)
        const opening = pool.connect()
        assert.is(pool._clients.length, pool.totalCount)
        const other = await opening
        assert.ok(pool._clients.includes(other))
        other.release(true)
        assert.not.ok(pool._clients.includes(other))
      })
    },
  },
  {
    what: "pg's pool has the class of its clients in Client, and their options in options with a password not listed",
    where: ['database/postgres/side-connection.ts'],
    forms: ['pg'],
    why: 'connections beside the pool are opened with them',
    async check() {
      const url = 'postgres://someone:secret@127.0.0.1:1/none'
      const { host, port, user, password, database } = Object.fromEntries([
        ...Object.entries(new pg.Client({ connectionString: url })),
        ['password', 'secret'],
      ]) as any
      const pool: any = new pg.Pool({ host, port, user, password, database, max: 3 })
      assert.is(pool.Client, pg.Client)
      assert.equal([pool.options.password, Object.keys(pool.options).includes('password')], ['secret', false])
      assert.equal([pool.options.max, pool.totalCount, pool.idleCount, pool.waitingCount], [3, 0, 0, 0])
      await pool.end()
    },
  },
]
