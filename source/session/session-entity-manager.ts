import type { ForkOptions } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import { onceFor } from '../database/once-for.ts'
import { askBegin, askTransaction, askMikroOrmToBegin, inAskedMode } from './asked-transaction.ts'
import { connectionOf } from './connection-facade.ts'
import { driverOf } from './driver-facade.ts'
import { assertOwn } from './entity-ownership.ts'
import { ManagedSessionError, OutsideTransactionError } from './errors.ts'
import { flushInTurn, flushUnderWay, holdingFlushes, noteScheduled } from './flush-in-turn.ts'
import { transactionManagerFor } from './nested-entities.ts'
import { forkRefused, letFork, mayFork } from './forks.ts'
import { asNested, assertNestable, assertNotCutOff, innermost, isOfNested } from './nested-transactions.ts'
import { oneAfterTheOther } from './one-after-the-other.ts'
import {
  OPERATIONS,
  asOperation,
  flushBeside,
  forksToNest,
  inContext,
  inRawContext,
  managedSession,
  notBesideFlush,
  ownOptions,
  assertNotInsideOfNested,
} from './operations.ts'
import { assertNoneNested, begunByHand, endedByHand, inOwnTransaction } from './own-transactions.ts'
import { cachingEntityManagerClass } from './result-cache.ts'
import { sessionOfEntityManager, setSession, type Session } from './session.ts'
import { undoneInMemory } from './undone-in-memory.ts'

/** Set on an entity manager that calls the callback of em.transactional() and does nothing else. */
const IGNORES_TRANSACTIONS = Symbol('koa-sqlassist ignores transactions')
type EntityManagerClass = new (...args: any[]) => SqlEntityManager
type Transactional = SqlEntityManager['transactional']
type TransactionalOptions = Parameters<Transactional>[1]

/**
 * Lets `em` be forked for sessions; the answer makes such a fork.
 *
 * MikroORM has no hook for the calls refused or redirected here, and forks an entity manager by `new
 * em.constructor(...)`. For as long as the call takes, that is a subclass of the entity manager's own class. A fork of
 * a fork inherits the session. A prototype changed afterwards would make the fork a slow object.
 */
export function sessionForks(em: SqlEntityManager): (options: ForkOptions) => SqlEntityManager {
  const own = em.constructor as EntityManagerClass
  const SessionEntityManager = sessionEntityManagerClass(cachingEntityManagerClass(own))
  Object.defineProperty(em, 'constructor', { value: own, configurable: true, writable: true })
  return (options) => {
    em.constructor = SessionEntityManager
    try {
      return em.fork(options)
    } finally {
      em.constructor = own
    }
  }
}

const sessionEntityManagerClass = onceFor(makeSessionEntityManagerClass)

function makeSessionEntityManagerClass(Base: EntityManagerClass): EntityManagerClass {
  class SessionEntityManager extends Base {
    declare [IGNORES_TRANSACTIONS]?: boolean | undefined

    /** Every call of an entity manager comes by here first. */
    override getContext(validate?: boolean): any {
      const session = sessionOfEntityManager(this)
      session?.assertUsable()
      if (session?.em !== this) assertNotCutOff(this)
      return super.getContext(validate)
    }

    override fork(options: ForkOptions = {}): this {
      const fork = this.#fork(options)
      const ignores = options.disableTransactions ?? this[IGNORES_TRANSACTIONS]
      if (ignores !== undefined) fork[IGNORES_TRANSACTIONS] = ignores
      return fork
    }

    #fork(options: ForkOptions): this {
      const session = managedSession(this)
      if (session === undefined) return setSession(super.fork({ ...options }), sessionOfEntityManager(this))
      if (options.keepTransactionContext !== true && !mayFork(this) && !forksToNest(options)) {
        throw forkRefused(session.role, options)
      }
      return setSession(super.fork({ ...options, keepTransactionContext: true }), session)
    }

    override async begin(options: Parameters<SqlEntityManager['begin']>[0] = {}): Promise<void> {
      const session = managedSession(this)
      if (session === undefined) {
        askMikroOrmToBegin(this, assertNoneNested(this, 'em.begin()'), options)
        return await begunByHand(this, () => super.begin({ ...options }))
      }
      // Where nobody coordinates, the first statement begins the transaction as it always does.
      if (session.coordinated || session.em !== this) throw new ManagedSessionError(session.role, 'em.begin()')
      await askBegin(session, options)
    }

    override async commit(): Promise<void> {
      assertNotInsideOfNested(this, 'em.commit()')
      const session = managedSession(this)
      if (session === undefined) return await endedByHand(this, () => super.commit())
      if (session.coordinated || session.em !== this) throw new ManagedSessionError(session.role, 'em.commit()')
      await session.commits.commitAndContinue()
    }

    override async rollback(): Promise<void> {
      assertNotInsideOfNested(this, 'em.rollback()')
      const session = sessionOfEntityManager(this)
      if (session === undefined || (session.leavesTransactionsToMikroOrm && !session.hasFailed)) {
        return await endedByHand(this, () => super.rollback(), true)
      }
      if (session.em !== this) throw new ManagedSessionError(session.role, 'em.rollback() inside em.transactional()')
      await session.commits.rollbackAndContinue()
    }

    override flush(): Promise<void> {
      const session = sessionOfEntityManager(this)
      if (session === undefined) return super.flush()
      const { isInside } = session.activity
      return session.activity.during(() => {
        session.assertUsable()
        return flushInTurn(this, session, () => super.flush(), isInside)
      })
    }

    override async transactional(work: (em: any) => any, given: TransactionalOptions = {}): Promise<any> {
      const session = sessionOfEntityManager(this)
      const options = ownOptions(given)
      if (session === undefined) return await super.transactional(work, options)
      session.assertUsable()
      assertNestable(this)
      const asking = askTransaction(this, session, options, this.#ignoresTransactions)
      if (asking !== undefined) await asking
      const nest = (cb: (em: any) => any): Promise<any> => this.#transactional(session, cb, options)
      return await session.statements.nest(() => asNested(session, this, this.#endingStreams(session, work), nest))
    }

    /** The end of a nested transaction would wait for a stream that nobody reads on. */
    #endingStreams(session: Session, work: (em: any) => any): (em: any) => Promise<any> {
      return async (em) => {
        try {
          return await work(em)
        } finally {
          if (em !== this) await session.statements.closeStreamsOf(em)
        }
      }
    }

    async #transactional(session: Session, cb: (em: any) => any, options: TransactionalOptions = {}): Promise<any> {
      if (session.leavesTransactionsToMikroOrm) return await this.#transactionalByMikroOrm(session, cb, options)
      const { propagation } = options
      if (propagation === 'requires_new' || propagation === 'not_supported') {
        throw new OutsideTransactionError(session.role, `em.transactional() with propagation '${propagation}'`)
      }
      const em = innermost(session, this)
      if (em !== this) return await em.transactional(cb, options)
      if (propagation === 'supports' || propagation === 'mandatory' || propagation === 'never') {
        return await super.transactional(cb, options)
      }
      return await oneAfterTheOther(this, session.role, async () => {
        // MikroORM would move what is pending into the nested transaction and, if that rolls back, never insert it:
        // https://github.com/mikro-orm/mikro-orm/blob/v7.2.1/packages/core/src/utils/TransactionManager.ts
        do await this.flush()
        while (flushUnderWay(this) !== undefined)
        const nested = { ...options, propagation: 'nested' as const }
        return await undoneInMemory(session, this, cb, (callback) => this.#nest(callback, nested))
      })
    }

    #nest(cb: (em: any) => any, options: TransactionalOptions): Promise<any> {
      if (this.#ignoresTransactions) return super.transactional(cb, options)
      return inAskedMode(this, options, () => transactionManagerFor(this).handle(cb, options))
    }

    get #ignoresTransactions(): boolean {
      return this[IGNORES_TRANSACTIONS] ?? this.config.get('disableTransactions') ?? false
    }

    /** Where every flush commits: MikroORM's own transactions, one after the other unless one is inside of another. */
    async #transactionalByMikroOrm(
      session: Session,
      cb: (em: any) => any,
      options: TransactionalOptions,
    ): Promise<any> {
      const em = innermost(session, this)
      if (em !== this && options?.propagation !== 'requires_new') return await em.transactional(cb, options)
      const run = async (): Promise<any> => {
        const ahead = notBesideFlush(this)
        if (ahead !== undefined) await ahead
        const work = this.isInTransaction() ? cb : inOwnTransaction(session, cb)
        const nest = (): Promise<any> =>
          undoneInMemory(session, this, work, (callback) => this.#nestBeforeFlushes(callback, options))
        // The transaction of em.begin() has the only connection, and has it to the end.
        const queue = this.isInTransaction() ? this : (session.onlyConnection ?? this)
        return await oneAfterTheOther(queue, session.role, nest)
      }
      return await (em === this ? oneAfterTheOther(this, session.role, run) : run())
    }

    /**
     * Holds flushes back until the callback is called: MikroORM forks with what is pending, and only then begins. A flush
     * in between would store that too, and a rollback of the nested transaction would make it new again.
     */
    #nestBeforeFlushes(cb: (em: any) => any, options: TransactionalOptions): Promise<any> {
      const called = Promise.withResolvers<void>()
      void holdingFlushes(this, called.promise)
      const calling = (em: any): any => {
        called.resolve()
        return cb(em)
      }
      return this.#nest(calling, options).finally(called.resolve)
    }

    override stream(entityName: any, options: any = {}): AsyncIterableIterator<any> {
      const rows = this.#stream(entityName, options)
      return sessionOfEntityManager(this)?.track(rows, this) ?? rows
    }

    async *#stream(entityName: any, options: any): AsyncIterableIterator<any> {
      const session = managedSession(this)
      if (session === undefined) {
        await notBesideFlush(this)
        const rows = super.stream(entityName, { ...options })
        // In a transaction of MikroORM's a statement inside the loop would wait for the stream.
        return yield* this.isInTransaction() ? await Array.fromAsync(rows) : rows
      }
      await this.tryFlush(entityName, options)
      // MikroORM forks once for every row, outside of any transaction, and what the row refers to would be loaded there:
      // https://github.com/mikro-orm/mikro-orm/blob/v7.2.1/packages/core/src/EntityManager.ts
      const streaming = letFork(this.fork({ keepTransactionContext: true }))
      yield* super.stream.call(streaming, entityName, { ...options })
    }

    override execute(...args: any[]): Promise<any> {
      return asOperation(this, () =>
        inRawContext(this, () => (super.execute as (...rest: any[]) => Promise<any>)(...args)),
      )
    }

    override getKysely(...args: any[]): any {
      const session = sessionOfEntityManager(this)
      // Statements of Kysely come by nowhere else.
      session?.passing.doubt()
      if (flushBeside(this) !== undefined && !isOfNested(this)) {
        return inContext(this, undefined, () => super.getKysely(...args))
      }
      return inRawContext(this, () => super.getKysely(...args))
    }

    override callRoutine(...args: any[]): Promise<any> {
      return asOperation(this, () =>
        inRawContext(this, () => (super.callRoutine as (...rest: any[]) => Promise<any>)(...args)),
      )
    }

    override persist(entity: any): any {
      assertOwn(entity, sessionOfEntityManager(this), 'persist')
      noteScheduled(this, entity, 'persist')
      return super.persist(entity)
    }

    override remove(entity: any): any {
      assertOwn(entity, sessionOfEntityManager(this), 'remove')
      noteScheduled(this, entity, 'remove')
      return super.remove(entity)
    }

    override merge(entityName: any, ...rest: any[]): any {
      assertOwn(entityName, sessionOfEntityManager(this), 'merge')
      if (rest.length > 0) assertOwn(rest[0], sessionOfEntityManager(this), 'merge')
      return (super.merge as (...all: any[]) => any)(entityName, ...rest)
    }

    override getConnection(type?: 'read' | 'write'): any {
      return connectionOf(this, super.getConnection(type))
    }

    override getDriver(): any {
      return driverOf(this, super.getDriver())
    }
  }
  for (const name of OPERATIONS) {
    const original = Base.prototype[name] as (...args: any[]) => Promise<any>
    Object.defineProperty(SessionEntityManager.prototype, name, {
      value(this: SqlEntityManager, ...args: any[]): Promise<any> {
        return asOperation(this, () => original.apply(this, args))
      },
      configurable: true,
      writable: true,
    })
  }
  return SessionEntityManager
}
