/** What the library relies on of MikroORM's entity managers, their flushes, forks and contexts. */
import { AsyncLocalStorage } from 'node:async_hooks'
import {
  type Configuration,
  EntityManager,
  EventType,
  RequestContext,
  TransactionContext,
  TransactionManager,
} from '@mikro-orm/core'
import * as assert from 'uvu/assert'
import { override } from '../../source/role/override.ts'
import { Author, Topic } from '../memory/savepoint-world.ts'
import type { Reliance, Worlds } from './reliance.ts'

const fork = ({ sqlite }: Worlds): any => sqlite.orm.em.fork()
/** Of a class of contexts; private. */
const storageOf = (context: object) => (context as { readonly storage: AsyncLocalStorage<unknown> }).storage
const PIPELINED = 'session/pipelined-commit.ts'
const MANAGER = 'session/session-entity-manager.ts'
const CONTEXTS = 'role/mikro-orm-contexts.ts'

export const MANAGER_RELIANCES: readonly Reliance[] = [
  {
    what: 'MikroORM forks an entity manager by new em.constructor(...)',
    where: [MANAGER],
    forms: ['constructor', 'subclass'],
    why: 'a session is a fork of a subclass, and its own forks are too',
    check({ sqlite }) {
      const em: any = sqlite.orm.em.fork()
      const Base = em.constructor
      class Sub extends Base {}
      em.constructor = Sub
      assert.ok(em.fork() instanceof Sub)
    },
  },
  {
    what: 'A nested transaction runs on a fork with cloneEventManager and two more options, also where they are undefined',
    where: ['session/operations.ts'],
    forms: ['nestedFork'],
    why: 'such a fork is distinguished from one of the program, which is refused',
    async check(worlds) {
      const em = fork(worlds)
      const seen: any[] = []
      em.fork = (options: any) => (seen.push(options), EntityManager.prototype.fork.call(em, options))
      await em.transactional(async () => undefined)
      assert.is(seen.length, 1)
      assert.is(seen[0].cloneEventManager, true)
      assert.ok('disableTransactions' in seen[0] && 'inflightQueryAbortStrategy' in seen[0])
    },
  },
  {
    what: 'Every call of an entity manager asks getContext() first',
    where: [MANAGER, 'role/redirected-em.ts', 'session/mark-changed.ts'],
    forms: ['getContext'],
    why: 'an ended session refuses there, and the global entity manager leads to a session',
    async check(worlds) {
      const em = fork(worlds)
      const error = new Error('asked')
      em.getContext = () => {
        throw error
      }
      const calls = [
        () => em.find(Author, {}),
        () => em.count(Author),
        () => em.flush(),
        () => em.persist({}),
        () => em.getReference(Author, 1),
        () => em.nativeDelete(Author, {}),
        () => em.execute('select 1'),
      ]
      for (const call of calls) {
        const answer = await Promise.resolve()
          .then(call)
          .catch((thrown: unknown) => thrown)
        assert.is(answer, error, String(call))
      }
    },
  },
  {
    what: 'A global entity manager asks the function config.get(context) by its name, which is not fixed',
    where: ['role/redirected-em.ts', 'role/context-names.ts', 'role/attach-orm.ts'],
    forms: ['config', 'narrowed'],
    why: 'it leads to the session of the running unit of work; each ORM gets a name of its own',
    check({ sqlite: { orm } }) {
      const { config, em }: { config: Configuration; em: any } = orm
      const [context, { name }] = [config.get('context'), em]
      const [session, asked] = [em.fork(), [] as string[]]
      try {
        config.set('context', (one) => (asked.push(one), session))
        em.name = 'another'
        assert.is(em.getContext(), session)
        assert.equal(asked, ['another'])
      } finally {
        config.set('context', context)
        em.name = name
      }
    },
  },
  {
    what: 'RequestContext and TransactionContext keep their state in a static storage, an AsyncLocalStorage',
    where: [CONTEXTS],
    forms: ['cast', 'asyncContext'],
    why: 'a unit of work leaves the contexts around it',
    async check({ sqlite: { orm } }) {
      const [requests, transactions] = [storageOf(RequestContext), storageOf(TransactionContext)]
      for (const storage of [requests, transactions]) assert.instance(storage, AsyncLocalStorage)
      RequestContext.create(orm.em, () => {
        const left = requests.run(undefined, () => RequestContext.currentRequestContext())
        assert.is(left, undefined)
      })
      await orm.em.transactional(async (em) => {
        assert.is(TransactionContext.currentTransactionContext()?.em, em)
        const left = transactions.run(undefined, () => TransactionContext.currentTransactionContext())
        assert.is(left, undefined)
      })
    },
  },
  {
    what: 'Who asks for a request context asks RequestContext.currentRequestContext()',
    where: [CONTEXTS],
    forms: ['override'],
    why: 'code in a unit is in the request context of its sessions, without a context that is entered',
    check({ sqlite: { orm } }) {
      const own = orm.em.fork() as EntityManager
      const undo = override(RequestContext, 'currentRequestContext', () => () => ({
        map: new Map([['default', own]]),
      }))
      assert.is(RequestContext.getEntityManager(), own)
      undo()
      assert.is(RequestContext.getEntityManager(), undefined)
    },
  },
  {
    what: 'A RequestContext has its entity managers in a map by name, which its constructor takes',
    where: [CONTEXTS],
    forms: ['cast'],
    why: 'sessions stand in the place of the entity managers of a request context',
    check({ sqlite: { orm } }) {
      RequestContext.create(orm.em, () => {
        const current: unknown = RequestContext.currentRequestContext()
        const { map } = current as { readonly map: Map<string, EntityManager> }
        assert.instance(map.get(orm.em.name), EntityManager)
        const other = orm.em.fork()
        const context = new RequestContext(new Map([[orm.em.name, other as EntityManager]]))
        const found = storageOf(RequestContext).run(context, () => RequestContext.getEntityManager(orm.em.name))
        assert.is(found, other)
      })
    },
  },
  {
    what: 'A flush calls doCommit() of its unit of work at once, and that calls persistToDatabase() with the context',
    where: [PIPELINED],
    forms: ['flush', 'cast', 'prototype', 'constructor'],
    why: 'a pipelined commit sends the one statement of a flush together with COMMIT',
    async check({ postgres }) {
      const em: any = postgres.orm.em.fork()
      const uow = em.getUnitOfWork(false)
      const { doCommit, persistToDatabase } = uow
      const called: unknown[] = []
      uow.doCommit = function (this: unknown) {
        called.push('doCommit', this === uow)
        return doCommit.call(this)
      }
      uow.persistToDatabase = function (this: unknown, groups: unknown, context: unknown) {
        called.push('persistToDatabase', this === uow, context === em.getTransactionContext())
        return persistToDatabase.call(this, groups, context)
      }
      await em.begin()
      em.create(Topic, { label: 'new' })
      try {
        const flushing = em.flush()
        const calledAtOnce = [...called]
        await flushing
        assert.equal(
          [calledAtOnce, called.slice(2)],
          [
            ['doCommit', true],
            ['persistToDatabase', true, true],
          ],
        )
      } finally {
        await em.rollback()
      }
      assert.is(em.flush, EntityManager.prototype.flush)
      assert.is(postgres.orm.driver.constructor.name, 'PostgreSqlDriver')
    },
  },
  {
    what: 'The event manager knows its subscribers, and for which entities an event has listeners',
    where: [PIPELINED],
    forms: ['listeners'],
    why: 'a flush with listeners is not pipelined',
    check(worlds) {
      const em = worlds.sqlite.orm.em.fork({ freshEventManager: true })
      const manager = em.getEventManager()
      const meta = em.getMetadata().get(Author) as any
      assert.is(manager.hasListeners(EventType.beforeCreate, meta), false)
      const subscriber = { beforeCreate: () => undefined }
      manager.registerSubscriber(subscriber)
      manager.registerSubscriber(subscriber)
      assert.equal([manager.hasListeners(EventType.beforeCreate, meta), manager.getSubscribers().size], [true, 1])
    },
  },
  {
    what: 'The end of a nested transaction calls mergeEntitiesToParent() of its TransactionManager',
    where: ['session/nested-entities.ts'],
    forms: ['merge', 'cast'],
    why: 'unsent changes of the outer entity manager survive it',
    async check(worlds) {
      const em = fork(worlds)
      const manager: any = new TransactionManager(em)
      const merged: unknown[] = []
      const nested: unknown[] = []
      manager.mergeEntitiesToParent = (...args: unknown[]) => merged.push(...args)
      await manager.handle(async (own: unknown) => void nested.push(own), {})
      assert.ok(merged.length === 2 && merged[0] === nested[0] && merged[1] === em)
    },
  },
  {
    what: 'The transaction context in em.transactional() is one of Kysely, which says how it ended',
    where: ['role/plain-transactions.ts'],
    forms: ['transactionContext'],
    why: 'a transaction outside of sessions holds a connection until its end',
    async check({ sqlite, postgres }) {
      for (const { orm } of [sqlite, postgres]) {
        const ends: unknown[] = []
        for (const fails of [false, true]) {
          let context: any
          const ending = orm.em.fork().transactional(async (em) => {
            context = TransactionContext.currentTransactionContext()?.em.getTransactionContext()
            ends.push([context.isCommitted, context.isRolledBack])
            await em.transactional(async () => ends.push([context.isCommitted, context.isRolledBack]))
            if (fails) throw new Error('fails')
          })
          await ending.catch(() => undefined)
          ends.push([context.isCommitted, context.isRolledBack])
        }
        const open = [false, false]
        assert.equal(ends, [open, open, [true, false], open, open, [false, true]])
      }
    },
  },
  {
    what: 'Statements go to the transaction context that an entity manager has when the call begins',
    where: [
      PIPELINED,
      'session/connection-facade.ts',
      'session/session.ts',
      'session/reads-outside.ts',
      'session/operations.ts',
      'session/own-transactions.ts',
      'session/own-commits.ts',
      'session/session-statements.ts',
      'session/flush-in-turn.ts',
      'session/undone-in-memory.ts',
      'session/asked-transaction.ts',
    ],
    forms: ['transactionContext'],
    why: 'a session is a transaction context of the library, and raw SQL has another one',
    async check({ sqlite: { orm } }) {
      const em = orm.em.fork()
      const sent: string[] = []
      const context = (name: string): any => ({
        executeQuery: async () => (sent.push(name), { rows: [] }),
        getExecutor: () => ({}),
      })
      em.setTransactionContext(context('one'))
      const executing = em.execute('select 1')
      em.setTransactionContext(context('two'))
      await executing
      await em.find(Author, {})
      assert.equal(sent, ['one', 'two'])
      assert.is(em.isInTransaction(), true)
      em.resetTransactionContext()
      assert.is(em.getTransactionContext(), undefined)
    },
  },
  {
    what: 'An entity manager flushes in tryFlush() before a query of entities that it has changed',
    where: [MANAGER],
    forms: ['tryFlush'],
    why: 'a stream of a session flushes as a find does',
    async check(worlds) {
      const em = fork(worlds)
      let flushed = 0
      em.flush = async () => void flushed++
      await em.tryFlush(Author, {})
      em.create(Author, { name: 'new', version: 1 })
      await em.tryFlush(Author, {})
      assert.is(flushed, 1)
    },
  },
]
