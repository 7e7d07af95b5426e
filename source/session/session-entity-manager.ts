import type { ForkOptions } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import { assertOwn } from './entity-ownership.ts'
import { ManagedSessionError, OutsideTransactionError } from './errors.ts'
import { flushInTurn, noteScheduled } from './flush-in-turn.ts'
import { asNested, innermost, isNestedIn } from './nested-transactions.ts'
import { oncePerClass } from './once-per-class.ts'
import { oneAfterTheOther } from './one-after-the-other.ts'
import { inOneConnection } from './session-connection-facade.ts'
import { sessionOfEntityManager, setSession } from './session-binding.ts'
import { rawContextOf } from './session-kysely.ts'
import type { Session } from './session.ts'
import { undoneInMemory } from './undone-in-memory.ts'

/** Set on an entity manager that MikroORM may fork by itself while it streams. */
const STREAMS = Symbol('koa-sqlassist stream')
type EntityManagerClass = new (...args: any[]) => SqlEntityManager
type Transactional = SqlEntityManager['transactional']
type TransactionalOptions = Parameters<Transactional>[1]

/**
 * Lets `em` be forked for sessions; the answer makes such a fork.
 *
 * MikroORM has no hook for the calls refused or redirected here, and forks an entity manager by `new em.constructor(...)`.
 * So that is a subclass of the entity manager's own class for as long as the call takes, and what is forked from a fork
 * inherits the session. A prototype changed afterwards would make the fork a slow object.
 */
export function sessionForks(em: SqlEntityManager): (options: ForkOptions) => SqlEntityManager {
  const own = em.constructor as EntityManagerClass
  const SessionEntityManager = sessionEntityManagerClass(own)
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

/** Those that write, and may send more than one statement: the session is not judged between two of them. */
const OPERATIONS = [
  'insert',
  'insertMany',
  'upsert',
  'upsertMany',
  'nativeUpdate',
  'nativeDelete',
  'clone',
] as const satisfies readonly (keyof SqlEntityManager)[]

/**
 * What a global entity manager has to hand on to the session it resolves to: MikroORM would only take the session's state,
 * and do the rest by the methods of the global one.
 */
export const REDIRECTED = [
  ...OPERATIONS,
  'flush',
  'begin',
  'commit',
  'rollback',
  'transactional',
  'stream',
  'execute',
  'getKysely',
  'callRoutine',
  'persist',
  'remove',
  'merge',
  'getConnection',
] as const satisfies readonly (keyof SqlEntityManager)[]

const sessionEntityManagerClass = oncePerClass(makeSessionEntityManagerClass)

function makeSessionEntityManagerClass(Base: EntityManagerClass): EntityManagerClass {
  class SessionEntityManager extends Base {
    declare [STREAMS]?: boolean

    /** Every call of an entity manager comes by here first. */
    override getContext(validate?: boolean): any {
      sessionOfEntityManager(this)?.assertUsable()
      return super.getContext(validate)
    }

    override fork(options: ForkOptions = {}): this {
      const session = managedSession(this)
      if (session === undefined) return setSession(super.fork({ ...options }), sessionOfEntityManager(this))
      if (options.keepTransactionContext !== true && this[STREAMS] !== true && !forksToNest(options)) {
        throw new OutsideTransactionError(session.role, 'em.fork()')
      }
      return setSession(super.fork({ ...options, keepTransactionContext: true }), session)
    }

    override async begin(options: Parameters<SqlEntityManager['begin']>[0] = {}): Promise<void> {
      const session = managedSession(this)
      if (session === undefined) return await super.begin({ ...options })
      // Where nobody coordinates, the first statement begins the transaction as it always does.
      if (session.coordinated || session.em !== this) throw new ManagedSessionError(session.role, 'em.begin()')
    }

    override async commit(): Promise<void> {
      refuseInsideOfNested(this, 'em.commit()')
      const session = managedSession(this)
      if (session === undefined) return await super.commit()
      if (session.coordinated || session.em !== this) throw new ManagedSessionError(session.role, 'em.commit()')
      await session.commitAndContinue()
    }

    override async rollback(): Promise<void> {
      refuseInsideOfNested(this, 'em.rollback()')
      const session = sessionOfEntityManager(this)
      if (session === undefined || (session.leavesTransactionsToMikroOrm && !session.hasFailed)) {
        return await super.rollback()
      }
      if (session.em !== this) throw new ManagedSessionError(session.role, 'em.rollback() inside em.transactional()')
      await session.rollbackAndContinue()
    }

    override async flush(): Promise<void> {
      const session = sessionOfEntityManager(this)
      if (session === undefined) return await super.flush()
      session.assertUsable()
      await session.activity.during(() => flushInTurn(this, session, () => super.flush()))
    }

    override async transactional(work: (em: any) => any, given: TransactionalOptions = {}): Promise<any> {
      const session = sessionOfEntityManager(this)
      const options = ownOptions(given)
      if (session === undefined) return await super.transactional(work, options)
      session.assertUsable()
      const cb = asNested(session, this.#endingStreams(session, work))
      return await session.nest(async () => await this.#transactional(session, cb, options))
    }

    /** The end of a nested transaction would wait for a stream that nobody reads on. */
    #endingStreams(session: Session, work: (em: any) => any): (em: any) => Promise<any> {
      return async (em) => {
        try {
          return await work(em)
        } finally {
          if (em !== this) await session.closeStreamsOf(em)
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
      return await oneAfterTheOther(this, async () => {
        // MikroORM would move what is pending into the nested transaction and, if that rolls back, never insert it:
        // https://github.com/mikro-orm/mikro-orm/blob/v7.2.1/packages/core/src/utils/TransactionManager.ts
        await this.flush()
        const nested = { ...options, propagation: 'nested' as const }
        return await undoneInMemory(session, this, cb, (callback) => super.transactional(callback, nested))
      })
    }

    /** Where every flush commits: MikroORM's own transactions, one after the other unless one is inside of another. */
    async #transactionalByMikroOrm(
      session: Session,
      cb: (em: any) => any,
      options: TransactionalOptions,
    ): Promise<any> {
      const em = innermost(session, this)
      if (em !== this && options?.propagation !== 'requires_new') return await em.transactional(cb, options)
      const run = (): Promise<any> =>
        undoneInMemory(session, this, cb, (callback) => super.transactional(callback, options))
      return await (em === this ? oneAfterTheOther(this, run) : run())
    }

    override stream(entityName: any, options: any = {}): AsyncIterableIterator<any> {
      const rows = this.#stream(entityName, options)
      return sessionOfEntityManager(this)?.track(rows, this) ?? rows
    }

    async *#stream(entityName: any, options: any): AsyncIterableIterator<any> {
      const session = managedSession(this)
      if (session === undefined) return yield* super.stream(entityName, { ...options })
      await this.tryFlush(entityName, options)
      // MikroORM forks once for every row, outside of any transaction, and what the row refers to would be loaded there:
      // https://github.com/mikro-orm/mikro-orm/blob/v7.2.1/packages/core/src/EntityManager.ts
      const streaming = this.fork({ keepTransactionContext: true })
      streaming[STREAMS] = true
      yield* super.stream.call(streaming, entityName, { ...options })
    }

    override execute(...args: any[]): Promise<any> {
      return asOperation(this, () =>
        inRawContext(this, () => (super.execute as (...rest: any[]) => Promise<any>)(...args)),
      )
    }

    override getKysely(...args: any[]): any {
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
      const connection = super.getConnection(type)
      const context = managedSession(this) === undefined ? undefined : rawContextOf(this.getTransactionContext())
      return context === undefined ? connection : inOneConnection(connection, context)
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

function asOperation<T>(em: SqlEntityManager, work: () => Promise<T>): Promise<T> {
  const session = sessionOfEntityManager(em)
  return session === undefined ? work() : session.activity.during(work)
}

/** The session whose transaction is not MikroORM's to begin and end. */
function managedSession(em: SqlEntityManager): Session | undefined {
  const session = sessionOfEntityManager(em)
  session?.assertUsable()
  return session?.leavesTransactionsToMikroOrm === true ? undefined : session
}

/** MikroORM would end the transaction that the callback of em.transactional() is in, and the rest would be in none. */
function refuseInsideOfNested(em: SqlEntityManager, what: string): void {
  const session = sessionOfEntityManager(em)
  if (session?.leavesTransactionsToMikroOrm === true && isNestedIn(session)) session.refuseNested(what)
}

/** The options by which MikroORM forks for a nested transaction; it gives them all, also those that are undefined. */
function forksToNest(options: ForkOptions): boolean {
  return (
    options.cloneEventManager === true && 'disableTransactions' in options && 'inflightQueryAbortStrategy' in options
  )
}

/**
 * Options to hand on: MikroORM writes into those of em.transactional(), the transaction context too. What it has left there
 * in a call before belongs to that one, and would lead into another database.
 */
function ownOptions(options: NonNullable<TransactionalOptions>): NonNullable<TransactionalOptions> {
  return { ...options, ctx: undefined }
}

/**
 * Raw SQL runs in the same database transaction, on a context that does not take its writes for MikroORM's own. MikroORM
 * reads the context before its first await, so the other one need only stand for the call itself.
 */
function inRawContext<T>(em: SqlEntityManager, call: () => T): T {
  const context = em.getTransactionContext()
  const raw = rawContextOf(context)
  if (raw === undefined) return call()
  em.setTransactionContext(raw)
  try {
    return call()
  } finally {
    em.setTransactionContext(context)
  }
}
