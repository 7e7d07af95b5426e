/** What the library relies on of MikroORM's drivers and connections. */
import { createRequire } from 'node:module'
import { LockMode, type Connection } from '@mikro-orm/core'
import { MikroORM as PostgresOrm } from '@mikro-orm/postgresql'
import { MikroORM as SqliteOrm } from '@mikro-orm/sqlite'
import Database from 'better-sqlite3'
import type pg from 'pg'
import * as assert from 'uvu/assert'
import { Author, Topic } from '../memory/savepoint-world.ts'
import type { Reliance } from './reliance.ts'

const ATTACH = 'role/attach-orm.ts'
const EXECUTORS = 'role/prepared-executors.ts'
const KEEPING = 'role/keeping-options.ts'
const CONNECTING = 'role/connecting.ts'
const POOL = 'database/postgres/client-pool.ts'
const HOOKS = 'database/postgres/connection-hooks.ts'

/** Collects the arguments of a method while `work` runs. */
async function callsOf(target: any, name: string, work: () => Promise<unknown>): Promise<any[][]> {
  const calls: any[][] = []
  const original = target[name]
  target[name] = function (...args: any[]) {
    calls.push(args)
    return original.apply(this, args)
  }
  try {
    await work()
  } finally {
    delete target[name]
  }
  return calls
}

export const CONNECTION_RELIANCES: readonly Reliance[] = [
  {
    what: 'A driver has the connections to its replicas in the field replicas',
    where: ['database/connections-of.ts'],
    forms: ['cast'],
    why: 'all connections of a role are guarded, closed and opened again',
    async check() {
      const orm = await SqliteOrm.init({
        dbName: ':memory:',
        entities: [Topic],
        replicas: [{ name: 'r1' }, { name: 'r2' }],
      })
      const { replicas } = orm.driver as unknown as { readonly replicas: readonly Connection[] }
      assert.is(replicas.length, 2)
      assert.ok(replicas.includes(orm.driver.getConnection('read')))
      assert.not.ok(replicas.includes(orm.driver.getConnection('write')))
      await orm.close()
    },
  },
  {
    what: 'A connection says in connected whether it is open',
    where: [CONNECTING, POOL, 'database/sqlite/sqlite-database.ts'],
    forms: ['cast'],
    why: 'the pool of a closed ORM is not opened by a look at it',
    async check() {
      const orm = await SqliteOrm.init({ dbName: ':memory:', entities: [Topic] })
      const connection = orm.driver.getConnection('write') as unknown as { readonly connected: boolean }
      assert.is(connection.connected, false)
      await orm.connect()
      assert.is(connection.connected, true)
      await orm.close()
      assert.is(connection.connected, false)
    },
  },
  {
    what: 'A connection has its options in the field options, and forgets them when it is closed',
    where: [KEEPING],
    forms: ['cast'],
    why: 'a role that closes its pool or its ORM gives them back, or replicas would become the primary',
    async check() {
      const orm = await SqliteOrm.init({ dbName: ':memory:', entities: [Topic] })
      const connection = orm.driver.getConnection('write') as unknown as {
        readonly options: { readonly dbName?: string }
      }
      const { options } = connection
      assert.is(options.dbName, ':memory:')
      await orm.close()
      assert.ok(connection.options === options && options.dbName === undefined)
    },
  },
  {
    what: 'A driver and its platform have the class names by which their database is recognised',
    where: ['role/database-of.ts'],
    forms: ['constructor'],
    why: 'an ORM of another package is refused',
    check({ sqlite, postgres }) {
      const classes = (orm: any) => {
        const names: string[] = []
        for (let type = orm.driver.getPlatform().constructor; type.name !== ''; type = Object.getPrototypeOf(type)) {
          names.push(type.name)
        }
        return names
      }
      assert.ok(classes(sqlite.orm).includes('SqlitePlatform'))
      assert.ok(classes(postgres.orm).includes('BasePostgreSqlPlatform'))
    },
  },
  {
    what: 'Every statement passes through execute() or stream() of a connection, with the context at a fixed place',
    where: [ATTACH, 'role/override.ts'],
    forms: ['override'],
    why: 'a statement that would leave the transaction of a unit of work is refused there',
    async check({ sqlite: { orm } }) {
      const connection = orm.driver.getConnection('write')
      const executed = await callsOf(connection, 'execute', async () => {
        const em = orm.em.fork()
        await em.find(Author, {})
        await em.transactional((own) => own.execute('select 1'))
      })
      assert.equal(
        executed.map((args) => args[3] !== undefined),
        [false, true],
      )
      const streamed = await callsOf(connection, 'stream', async () => {
        const em = orm.em.fork()
        await Array.fromAsync(em.stream(Author))
        await em.begin()
        await Array.fromAsync(em.stream(Author))
        await em.rollback()
      })
      assert.equal(
        streamed.map((args) => args[2] !== undefined),
        [false, true],
      )
    },
  },
  {
    what: 'A transaction begins by begin() of a connection, with the outer one as the option ctx',
    where: [ATTACH],
    forms: ['override'],
    why: 'a second transaction beside that of a unit of work is refused',
    async check({ sqlite: { orm } }) {
      const begun = await callsOf(orm.driver.getConnection('write'), 'begin', async () => {
        await orm.em.fork().transactional((em) => em.transactional(async () => undefined))
      })
      assert.equal(
        begun.map(([options]) => options.ctx !== undefined),
        [false, true],
      )
    },
  },
  {
    what: 'A connection sends by executeQuery(sql, send, logged), and the statement with its values is logged.formatted',
    where: [ATTACH, EXECUTORS],
    forms: ['override'],
    why: 'the statements of a role that commits each of them are traced',
    async check({ sqlite: { orm } }) {
      const [call] = await callsOf(orm.driver.getConnection('write'), 'executeQuery', async () => {
        await orm.em.fork().execute('select ? as one', ['it'])
      })
      assert.equal(
        [typeof call?.[0], typeof call?.[1], call?.[2].formatted],
        ['string', 'function', "select 'it' as one"],
      )
    },
  },
  {
    what: 'An ORM opens and closes by connect() and close() of its connections, also of its own accord',
    where: ['role/context-names.ts', CONNECTING],
    forms: ['override'],
    why: 'the name of a closed ORM is free, and what a connect sends is of no unit of work',
    async check() {
      const orm = await SqliteOrm.init({ dbName: ':memory:', entities: [Topic] })
      const connection = orm.driver.getConnection('write')
      const opened = await callsOf(connection, 'connect', () => orm.em.fork().execute('select 1'))
      const closed = await callsOf(connection, 'close', () => orm.close())
      assert.equal([opened.length, closed.length], [1, 1])
    },
  },
  {
    what: 'A connection waits in ensureConnection() before it is used, and calls itself connected before it is set up',
    where: [CONNECTING],
    forms: ['override'],
    why: 'what comes meanwhile waits until all of it is done',
    async check() {
      const orm = await SqliteOrm.init({ dbName: ':memory:', entities: [Topic] })
      const connection: any = orm.driver.getConnection('write')
      const connectedAtPragma: boolean[] = []
      connection.onConnect = async () => void connectedAtPragma.push(connection.connected)
      const ensured = await callsOf(connection, 'ensureConnection', async () => {
        await orm.em.fork().execute('select 1')
        await connection.getNativeClient()
      })
      assert.equal([ensured.length, connectedAtPragma], [2, [true]])
      await orm.close()
    },
  },
  {
    what: 'An error thrown where a statement runs passes through convertException() of the driver',
    where: [ATTACH],
    forms: ['override'],
    why: "the library's errors come out of MikroORM as they are",
    async check({ sqlite: { orm } }) {
      const error = new Error('refused')
      const connection: any = orm.driver.getConnection('write')
      const calls = await callsOf(orm.driver, 'convertException', async () => {
        connection.execute = async () => {
          throw error
        }
        try {
          await orm.em
            .fork()
            .find(Author, {})
            .catch(() => undefined)
        } finally {
          delete connection.execute
        }
      })
      assert.equal(calls, [[error]])
    },
  },
  {
    what: 'Each read with a lock mode goes by setLockMode() of a builder that createQueryBuilder() of the driver makes',
    where: [ATTACH, 'role/refuse-locks.ts'],
    forms: ['override'],
    why: 'a session that only reads refuses lock modes, which SQLite has no clause for',
    async check({ sqlite: { orm } }) {
      const made = await callsOf(orm.driver, 'createQueryBuilder', async () => {
        await orm.em.transactional(async (em) => {
          const author = await em.findOneOrFail(Author, await em.insert(Author, { name: 'locked', photo: null }))
          await em.find(Author, {}, { lockMode: LockMode.PESSIMISTIC_WRITE })
          await em.lock(author, LockMode.PESSIMISTIC_WRITE)
          const builder: any = em.qb(Author)
          assert.is(builder.context, em.getTransactionContext())
          assert.type(builder.setLockMode, 'function')
        })
      })
      assert.is(made.length, 5)
    },
  },
  {
    what: 'The global entity manager has methods that can be overridden one by one',
    where: ['role/redirected-em.ts', 'role/override.ts'],
    forms: ['override'],
    why: 'its calls are handed on to the session of the running unit of work',
    async check({ sqlite: { orm } }) {
      const calls = await callsOf(orm.em, 'transactional', () => orm.em.transactional(async () => undefined))
      assert.is(calls.length, 1)
      assert.not.ok(Object.hasOwn(orm.em, 'transactional'))
      assert.type(orm.em.transactional, 'function')
    },
  },
  {
    what: 'An entity manager has a session context, which by default is for its transactions',
    where: [
      HOOKS,
      'session/reads-outside.ts',
      'database/postgres/postgres-database.ts',
      'testing/sandbox/frame-context.ts',
    ],
    forms: ['sessionContext'],
    why: 'a session sets the variables and the role as MikroORM does',
    check({ postgres: { orm } }) {
      const em = orm.em.fork({ session: { role: 'reader', variables: { 'app.user': 'ada' } } })
      assert.equal(em.getSessionContext(), { role: 'reader', variables: { 'app.user': 'ada' } })
      assert.is(em.getTransactionSessionContext(), em.getSessionContext())
      assert.is(orm.em.fork().getSessionContext(), undefined)
    },
  },
  {
    what: 'A connection to PostgreSQL has hooks in its options or config, and makes the statements of a session context',
    where: [HOOKS],
    forms: ['cast'],
    why: 'a client out of the pool is prepared as MikroORM would prepare it',
    async check({ postgres: { orm, target } }: any) {
      const hook = async (): Promise<void> => undefined
      const other = await PostgresOrm.init({
        clientUrl: target ?? orm.config.get('clientUrl'),
        entities: [Topic],
        onCreateConnection: hook,
        sessionContext: 'connection',
      })
      const connection: any = other.driver.getConnection('write')
      assert.is(connection.options.onCreateConnection ?? connection.config.get('onCreateConnection'), hook)
      assert.is(connection.config.get('sessionContext'), 'connection')
      assert.equal(connection.buildConnectionSessionStatements({ role: 'reader', variables: { 'app.user': 'ada' } }), [
        { sql: 'reset all', params: [] },
        { sql: 'select set_config($1, $2, false)', params: ['app.user', 'ada'] },
        { sql: 'set role "reader"', params: [] },
      ])
      await other.close()
    },
  },
  {
    what: "getNativeClient() opens a connection and gives pg's pool, or better-sqlite3's handle",
    where: [POOL, 'database/sqlite/sqlite-database.ts', 'database/sqlite/sqlite-reads.ts'],
    forms: ['nativeClient'],
    why: 'the library runs the transactions of its sessions on them',
    async check({ sqlite, postgres }) {
      assert.instance(await sqlite.orm.driver.getConnection('write').getNativeClient(), Database)
      const pool: any = await postgres.orm.driver.getConnection('write').getNativeClient()
      // MikroORM's own pg, which may be newer than that of the tests.
      const { Pool, Client } = createRequire(import.meta.resolve('@mikro-orm/postgresql'))('pg') as typeof pg
      assert.instance(pool, Pool)
      assert.is(pool.Client, Client)
      assert.equal([pool.options.max, typeof pool.totalCount, typeof pool.waitingCount], [5, 'number', 'number'])
    },
  },
  {
    what: 'The methods of a driver take the transaction context in their options, execute() and others as an argument',
    where: ['session/driver-facade.ts'],
    forms: ['client', 'transactionContext'],
    why: 'the driver of a session sends everything in the transaction of the session',
    async check({ sqlite, postgres }) {
      for (const { orm } of [sqlite, postgres]) {
        const driver: any = orm.driver
        const sources = Object.fromEntries(
          ['find', 'count', 'nativeInsert', 'nativeUpdate', 'nativeDelete', 'execute', 'createQueryBuilder'].map(
            (name) => [
              name,
              /^(?:async )?\w+\(([^)]*)\)/.exec(String(driver[name]).replaceAll(/ = \{\}| = \[\]| = '\w+'/g, ''))?.[1],
            ],
          ),
        )
        assert.equal(sources, {
          find: 'entityName, where, options',
          count: 'entityName, where, options',
          nativeInsert: 'entityName, data, options',
          nativeUpdate: 'entityName, where, data, options',
          nativeDelete: 'entityName, where, options',
          execute: 'query, params, method, ctx, loggerContext, connection = this.connection',
          createQueryBuilder: 'entityName, ctx, preferredConnectionType, convertCustomTypes, loggerContext, alias, em',
        })
      }
    },
  },
]
