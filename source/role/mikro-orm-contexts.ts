import type { AsyncLocalStorage } from 'node:async_hooks'
import { RequestContext, TransactionContext, type EntityManager } from '@mikro-orm/core'
import { sessionOfEntityManager } from '../session/session.ts'
import { override } from './override.ts'
import { scopedOrmOf, servedOrmOf } from './served-orm.ts'
import { innermostScope } from './unit-scope.ts'
import { onceFor } from '../database/once-for.ts'

/** The entity manager of MikroORM's transaction that the running code is in. */
export function transactionHere(): EntityManager | undefined {
  return TransactionContext.currentTransactionContext()?.em
}

/** Does `work` outside of MikroORM's transaction that the running code is in. */
export function outsideOfTransaction<T>(work: () => T): T {
  return storageOf(TransactionContext).run(undefined, work)
}

/**
 * Does `work` in a request context of MikroORM that gives sessions, and without its transactions that concern roles of
 * `registry`: code in a unit of work means its own sessions. Contexts of other ORMs stay.
 */
export function inContextOfSessions<T>(registry: object, work: () => T): T {
  const transaction = transactionHere()
  const leaves = transaction !== undefined && isLeft(transaction, registry)
  const inner = leaves ? () => outsideOfTransaction(work) : work
  const around = RequestContext.currentRequestContext()
  if (around === undefined || givesSessionsOf(around, registry)) return inner()
  return storageOf(RequestContext).run(new RequestContext(new Sessions(registry, mapOf(around))), inner)
}

/** Has MikroORM find the sessions of a unit by its code, from here on. */
export function showUnitsToMikroOrm(): void {
  showUnits(RequestContext)
}

/**
 * Has code in a unit be in the request context of its sessions, where it is in no other. To enter one for each unit would cost as
 * much as entering the unit.
 */
const showUnits = onceFor((contextClass: typeof RequestContext) =>
  override(
    contextClass,
    'currentRequestContext',
    (original) =>
      function (this: unknown): RequestContext | undefined {
        return (original.call(this) as RequestContext | undefined) ?? contextOfUnit()
      },
  ),
)

/** Whether a unit leaves `transaction`. One of a role that is not scoped stays, unless it is another unit's session. */
function isLeft(transaction: EntityManager, registry: object): boolean {
  const session = sessionOfEntityManager(transaction)
  if (session?.ended === true) return true
  const served = servedOrmOf(transaction)
  return served?.serves(registry) === true && (session !== undefined || served.isScopedIn(registry))
}

/** The request contexts of units, where there is none around them: they know nothing of a single unit. */
const contextOf = onceFor((registry: object) => new RequestContext(new Sessions(registry, undefined)))

function contextOfUnit(): RequestContext | undefined {
  const scope = innermostScope(() => true)
  return scope && contextOf(scope.registry)
}

function givesSessionsOf(context: RequestContext | undefined, registry: object): boolean {
  for (let map = context && mapOf(context); map instanceof Sessions; map = map.around) {
    if (map.registry === registry) return true
  }
  return false
}

/**
 * The sessions that the running code gets, by the names of their ORMs, and what the context around has of others. So
 * @EnsureRequestContext() finds a context in a unit.
 */
class Sessions extends Map<string, EntityManager> {
  readonly registry: object
  readonly around: Map<string, EntityManager> | undefined

  constructor(registry: object, around: Map<string, EntityManager> | undefined) {
    super()
    this.registry = registry
    this.around = around
  }

  override get(name: string): EntityManager | undefined {
    const served = scopedOrmOf(this.registry, name)
    // Code that goes on after its unit may make a context of its own.
    if (served?.isOverHere === true) return undefined
    return served?.sessionHere() ?? this.around?.get(name)
  }

  override has(name: string): boolean {
    return scopedOrmOf(this.registry, name) !== undefined || this.around?.has(name) === true
  }
}

/** The private storage of MikroORM, which has no other way out of a context. */
function storageOf<Context>(
  contextClass: { currentTransactionContext(): Context } | { currentRequestContext(): Context },
): AsyncLocalStorage<Context | undefined> {
  return (contextClass as unknown as { readonly storage: AsyncLocalStorage<Context | undefined> }).storage
}

function mapOf(request: RequestContext): Map<string, EntityManager> {
  return (request as unknown as { readonly map: Map<string, EntityManager> }).map
}
