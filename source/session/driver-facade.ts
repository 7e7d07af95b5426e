import type { AbstractSqlDriver, SqlEntityManager } from '@mikro-orm/sql'
import { rawContextOf } from './session-kysely.ts'
import { sessionOfEntityManager } from './session.ts'

/** Where the options stand among the arguments of a driver's methods; their `ctx` is the transaction context. */
const OPTIONS_ARGUMENT = new Map<string | symbol, number>(
  Object.entries({
    find: 2,
    findOne: 2,
    findVirtual: 2,
    countVirtual: 2,
    count: 2,
    stream: 2,
    nativeInsert: 2,
    nativeInsertMany: 2,
    nativeUpdate: 3,
    nativeUpdateMany: 3,
    nativeDelete: 2,
    nativeClone: 3,
    syncCollections: 1,
    lockPessimistic: 1,
  }),
)
/** Where the context itself stands. */
const CONTEXT_ARGUMENT = new Map<string | symbol, number>([
  ['execute', 3],
  ['loadFromPivotTable', 4],
  ['createQueryBuilder', 1],
])

/** On an entity manager: what it answers, as a WeakMap would slow down the garbage collector. */
const FACADE = Symbol('koa-sqlassist driver')

/**
 * What `em.getDriver()` answers on a session: the ORM's driver. What would run without a transaction context runs in that of
 * `em`, where it would otherwise take another connection.
 */
export function driverOf(em: SqlEntityManager, driver: AbstractSqlDriver): AbstractSqlDriver {
  const session = sessionOfEntityManager(em)
  if (session === undefined || session.leavesTransactionsToMikroOrm) return driver
  return ((em as { [FACADE]?: AbstractSqlDriver })[FACADE] ??= new Proxy(driver, new InOneTransaction(em)))
}

class InOneTransaction implements ProxyHandler<AbstractSqlDriver> {
  readonly #em: SqlEntityManager

  constructor(em: SqlEntityManager) {
    this.#em = em
  }

  get(target: AbstractSqlDriver, name: string | symbol): unknown {
    const em = this.#em
    if (name === 'getConnection') return (type?: 'read' | 'write') => em.getConnection(type)
    const value: unknown = Reflect.get(target, name)
    if (typeof value !== 'function' || name === 'constructor') return value
    const options = OPTIONS_ARGUMENT.get(name)
    const position = options ?? CONTEXT_ARGUMENT.get(name)
    if (position === undefined) return value.bind(target)
    return (...args: any[]) => {
      while (args.length <= position) args.push(undefined)
      const context = em.getTransactionContext()
      if (options === undefined) args[position] ??= name === 'execute' ? rawContextOf(context) : context
      else if (args[position]?.ctx === undefined) args[position] = { ...args[position], ctx: context }
      return Reflect.apply(value, target, args)
    }
  }
}
