/** What the library relies on of Kysely, and of the way in which MikroORM uses it. */
import { CompiledQuery, Kysely } from 'kysely'
import { MikroORM } from '@mikro-orm/sqlite'
import * as assert from 'uvu/assert'
import { Author, Topic } from '../memory/savepoint-world.ts'
import { rejection } from '../support/rejection.ts'
import type { Reliance, Worlds } from './reliance.ts'

const CONTEXT = 'session/session-kysely.ts'
const SQLITE = ['database/sqlite/sqlite-database.ts', 'database/sqlite/sqlite-reads.ts']
const LENT = 'database/lent-connection.ts'
const ATTACH = 'role/attach-orm.ts'
const EXECUTORS = 'role/prepared-executors.ts'

const clientOf = ({ sqlite }: Worlds): any => (sqlite.orm.driver.getConnection('write') as any).getClient()

/** A source of connections that notes what is sent on them. */
function recordingSource(sent: string[]) {
  const connection: any = {
    async executeQuery({ sql }: CompiledQuery) {
      sent.push(sql)
      return { rows: [{ one: 1 }] }
    },
  }
  return {
    provideConnection: (consumer: (given: any) => Promise<any>) => consumer(connection),
  }
}

export const KYSELY_RELIANCES: readonly Reliance[] = [
  {
    what: 'getClient() gives one Kysely client for as long as a connection is open, and then another one',
    where: [
      'database/postgres/client-pool.ts',
      ...SQLITE,
      ATTACH,
      'session/connection-facade.ts',
      'session/session.ts',
      'session/reads-outside.ts',
    ],
    forms: ['client'],
    why: 'a pool is known by its client, and is looked for anew when that is another one',
    async check() {
      const orm = await MikroORM.init({ dbName: ':memory:', entities: [Topic] })
      const connection: any = orm.driver.getConnection('write')
      await orm.connect()
      const client = connection.getClient()
      assert.instance(client, Kysely)
      assert.is(connection.getClient(), client)
      await orm.close()
      await orm.connect()
      assert.is.not(connection.getClient(), client)
      await orm.close()
    },
  },
  {
    what: 'MikroORM asks getClient() of a connection for the client of a transaction',
    where: [ATTACH, EXECUTORS],
    forms: ['client'],
    why: 'the executor of each new client is guarded there',
    async check({ sqlite: { orm } }) {
      const connection: any = orm.driver.getConnection('write')
      const own = connection.getClient
      let asked = 0
      connection.getClient = function () {
        asked++
        return own.call(this)
      }
      try {
        await orm.em.fork().transactional(async () => undefined)
        orm.em.fork().getKysely()
      } finally {
        delete connection.getClient
      }
      assert.ok(asked >= 2, `${asked}`)
    },
  },
  {
    what: "Kysely takes the connection of a client by provideConnection() of the client's executor",
    where: [...SQLITE, ATTACH, EXECUTORS, 'role/refuse-outside.ts', CONTEXT],
    forms: ['executor', 'prototype', 'override'],
    why: 'where there is one connection, a request that holds it would wait for ever',
    async check(worlds) {
      const executor = clientOf(worlds).getExecutor()
      assert.is(clientOf(worlds).getExecutor(), executor)
      const own = Object.getPrototypeOf(executor).provideConnection
      let provided = 0
      executor.provideConnection = function (consumer: unknown) {
        provided++
        return own.call(this, consumer)
      }
      try {
        await clientOf(worlds).selectFrom('author').selectAll().execute()
        await worlds.sqlite.orm.em.fork().find(Author, {})
      } finally {
        delete executor.provideConnection
      }
      assert.is(provided, 2)
    },
  },
  {
    what: 'On SQLite one user at a time has the connection of a client',
    where: SQLITE,
    forms: ['executor'],
    why: 'a transaction of a session keeps it until its end',
    async check(worlds) {
      const executor = clientOf(worlds).getExecutor()
      const order: string[] = []
      const first = Promise.withResolvers<void>()
      const one = executor.provideConnection(async () => {
        await first.promise
        order.push('one')
      })
      const two = executor.provideConnection(async () => void order.push('two'))
      first.resolve()
      await Promise.all([one, two])
      assert.equal(order, ['one', 'two'])
    },
  },
  {
    what: 'A Kysely client is made of an executor alone, whose connections come from another source',
    where: [CONTEXT],
    forms: ['cast', 'constructor', 'subclass', 'executor'],
    why: "a session's transaction context is a subclass of the client's own class",
    async check(worlds) {
      const client = clientOf(worlds)
      const Base = client.constructor
      class Sub extends (Base as new (props: object) => any) {}
      const sent: string[] = []
      const executor = client.getExecutor().withConnectionProvider(recordingSource(sent))
      const made: any = new Sub({ config: {}, driver: {}, dialect: {}, executor })
      assert.equal(await made.selectFrom('author').select('id').execute(), [{ one: 1 }])
      await made.executeQuery(CompiledQuery.raw('select 1'))
      assert.equal(sent, ['select "id" from "author"', 'select 1'])
      assert.is(made.getExecutor(), executor)
      assert.equal(executor.plugins, [])
    },
  },
  {
    what: 'MikroORM sends compiled queries by executeQuery() of its transaction context',
    where: [CONTEXT],
    forms: ['subclass'],
    why: 'such a statement needs nothing else of Kysely',
    async check({ sqlite: { orm } }) {
      const em = orm.em.fork()
      const queries: any[] = []
      em.setTransactionContext({ executeQuery: async (query: any) => (queries.push(query), { rows: [] }) } as any)
      await em.find(Author, {})
      em.resetTransactionContext()
      assert.equal([queries.length, typeof queries[0].sql, queries[0].compile], [1, 'string', undefined])
    },
  },
  {
    what: 'MikroORM nests by savepoint(), releaseSavepoint() and rollbackToSavepoint() with the names trx1, trx2',
    where: [CONTEXT],
    forms: ['savepoint'],
    why: 'a session opens and ends nested transactions there; its own savepoints have other names',
    async check({ sqlite: { orm } }) {
      const called: string[] = []
      const context = (level: number): any => ({
        savepoint: (name: string) => ({ execute: async () => (called.push(`savepoint ${name}`), context(level + 1)) }),
        releaseSavepoint: (name: string) => ({ execute: async () => void called.push(`${level} release ${name}`) }),
        rollbackToSavepoint: (name: string) => ({ execute: async () => void called.push(`${level} rollback ${name}`) }),
        getExecutor: () => ({ provideConnection: async (work: () => unknown) => await work() }),
      })
      const em = orm.em.fork()
      em.setTransactionContext(context(0))
      await em.transactional(async (outer) => {
        await outer
          .transactional(async () => {
            throw new Error('inner')
          })
          .catch(() => undefined)
      })
      assert.equal(called, ['savepoint trx1', 'savepoint trx2', '2 rollback trx2', '1 release trx1'])
    },
  },
  {
    what: 'A transaction begins by begin or start transaction, is rolled back by rollback, and keeps its connection if that fails',
    where: [LENT],
    forms: ['cancel'],
    why: 'the connection is taken back then',
    async check({ sqlite, postgres }) {
      for (const { orm } of [sqlite, postgres]) {
        const client: any = (orm.driver.getConnection('write') as any).getClient()
        const executor = client.getExecutor()
        const sent: string[] = []
        let isBack = false
        executor.provideConnection = async (consumer: (given: any) => Promise<any>) => {
          await consumer({
            async executeQuery({ sql }: CompiledQuery) {
              sent.push(sql)
              if (sql === 'rollback') throw new Error('lost')
              return { rows: [] }
            },
          })
          isBack = true
        }
        try {
          await client.startTransaction().execute()
          const isolated =
            orm === postgres.orm ? client.startTransaction().setIsolationLevel('serializable') : undefined
          const transaction = await (isolated ?? client.startTransaction()).execute()
          assert.is((await rejection(transaction.rollback().execute())).message, 'lost')
        } finally {
          delete executor.provideConnection
        }
        assert.is(isBack, false)
        assert.match(sent.join(), /^begin,(?:begin|start transaction isolation level serializable),rollback$/)
      }
    },
  },
  {
    what: "A statement with a signal cancels by cancelQuery() of Kysely's connection, after collectSessionInfo()",
    where: [CONTEXT, LENT, 'database/postgres/client-connection.ts'],
    forms: ['cancel'],
    why: "a session's connections cancel the statement on the server",
    async check(worlds) {
      const called: string[] = []
      const running = Promise.withResolvers<void>()
      const begun = Promise.withResolvers<void>()
      const connection = {
        async executeQuery() {
          begun.resolve()
          await running.promise
          return { rows: [] }
        },
        collectSessionInfo: async () => void called.push('collectSessionInfo'),
        cancelQuery: async () => void called.push('cancelQuery'),
      }
      const source = { provideConnection: (consumer: any) => consumer(connection) }
      const executor = clientOf(worlds).getExecutor().withConnectionProvider(source)
      const client = clientOf(worlds)
      const made = new client.constructor({ config: {}, driver: {}, dialect: {}, executor })
      const controller = new AbortController()
      const options = { signal: controller.signal, inflightQueryAbortStrategy: 'cancel query' }
      const answer = made.executeQuery(CompiledQuery.raw('select 1'), options).catch((error: Error) => error)
      await begun.promise
      controller.abort(new Error('enough'))
      assert.instance(await answer, Error)
      running.resolve()
      assert.equal(called, ['collectSessionInfo', 'cancelQuery'])
    },
  },
]
