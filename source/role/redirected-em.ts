import type { EntityManager, MikroORM } from '@mikro-orm/core'
import { sessionOfEntityManager } from '../session/session.ts'
import { REDIRECTED } from '../session/operations.ts'
import { outsideOfScopes } from './unit-scope.ts'
import { outsideOfTransaction, transactionHere } from './mikro-orm-contexts.ts'
import { override, type Method } from './override.ts'
import type { ServedOrm } from './served-orm.ts'

/** Lets the global entity manager of an ORM stand for the session of the running code's unit of work. */
export function redirectGlobal({ config, em }: MikroORM<any, any, any>, served: ServedOrm): (() => void)[] {
  const previous = config.get('context')
  const elsewhere = (name: string): EntityManager | undefined => {
    const found = previous(name)
    // Another ORM may have the same name.
    return found?.config === config ? found : undefined
  }
  config.set('context', (name) =>
    // Code that goes on after its unit may have made a context of its own.
    served.isOverHere ? (elsewhere(name) ?? served.sessionHere()) : (served.sessionHere() ?? elsewhere(name)),
  )
  return [
    () => config.set('context', previous),
    override(em, 'getContext', (original) => inOwnTransaction(original, served)),
    ...REDIRECTED.map((name) => override(em, name, (original) => redirected(name, original))),
    override(em, 'transactional', withOwnOptions),
    override(em, 'fork', (original) => forking(original, served)),
  ]
}

/** Hides transactions of other ORMs and of ended units. MikroORM finds a transaction by the name of its ORM alone. */
function inOwnTransaction(original: Method, served: ServedOrm): Method {
  return function (this: EntityManager, ...args) {
    const em = transactionHere()
    const foreign = em !== undefined && em.name === this.name && em.config !== this.config
    const over = em !== undefined && sessionOfEntityManager(em)?.ended === true && served.isOverHere
    return foreign || over ? outsideOfTransaction(() => original.apply(this, args)) : original.apply(this, args)
  }
}

function redirected(name: string, original: Method): Method {
  return function (...args) {
    const target = this.getContext(false)
    return target === this ? original.apply(this, args) : target[name](...args)
  }
}

/** Copies the options of em.transactional(), which MikroORM writes into. */
function withOwnOptions(original: Method): Method {
  return function (work, options) {
    return original.call(this, work, { ...options })
  }
}

function forking(original: Method, served: ServedOrm): Method {
  return function (options = {}) {
    // A fork with disableContextResolution is meant for this entity manager itself.
    const isOwn = options.disableContextResolution === true
    if (isOwn && options.useContext !== true) return original.call(this, options)
    const target = isOwn ? this : forkable(this, served)
    if (target !== this) return target.fork({ ...options })
    const own = { ...options, disableContextResolution: true }
    // MikroORM looks for the context as soon as it makes an entity manager that uses contexts.
    return served.isOverHere ? outsideOfScopes(() => original.call(this, own)) : original.call(this, own)
  }
}

/** The entity manager to fork. After the end of a unit, code such as a worker makes a session for itself. */
function forkable(em: any, served: ServedOrm): any {
  if (!served.isOverHere) return em.getContext(false)
  try {
    return em.getContext(false)
  } catch {
    return em
  }
}
