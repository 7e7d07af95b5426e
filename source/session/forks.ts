import type { EntityManager, ForkOptions } from '@mikro-orm/core'
import { OutsideTransactionError } from './errors.ts'

/** Set on an entity manager while MikroORM may fork it, in the same transaction. */
const MAY_FORK = Symbol('koa-sqlassist may fork')

type Forkable = EntityManager & { [MAY_FORK]?: boolean | undefined }

export function mayFork(em: Forkable): boolean {
  return em[MAY_FORK] === true
}

/** Lets MikroORM fork `em` from here on. */
export function letFork<EM extends EntityManager>(em: EM): EM {
  ;(em as Forkable)[MAY_FORK] = true
  return em
}

/** Lets MikroORM fork `em`, if there is one, during the call of `work`. */
export function lettingFork<T>(em: EntityManager | undefined, work: () => T): T {
  if (em === undefined || mayFork(em)) return work()
  letFork(em)
  try {
    return work()
  } finally {
    ;(em as Forkable)[MAY_FORK] = false
  }
}

/** The error for a fork outside of the transaction, which often a library has made. */
export function forkRefused(role: string, options: ForkOptions): OutsideTransactionError {
  const what =
    options.useContext === true
      ? 'em.fork() by RequestContext.create(), which @CreateRequestContext() calls,'
      : 'em.fork(), which Seeder.call() and many libraries call,'
  return new OutsideTransactionError(
    role,
    what,
    `What may share the transaction takes the session itself (ctx.dbSession.${role}), @EnsureRequestContext(), or ` +
      `em.fork({ keepTransactionContext: true }). What needs an entity manager of its own takes one of an ORM whose role ` +
      `has scoped: false, or runs in registry.run(): on SQLite once this transaction has ended, elsewhere where the pool has a connection left.`,
  )
}
