import type { Engines } from '../unit/db-sessions-container.ts'

/** The entity manager of a session that its caller closes. */
export type DetachedSession<EM> = EM & AsyncDisposable & { close(): Promise<void> }

/** The MikroORM instance given for a role. */
export type OrmOf<E> = E extends { readonly orm: infer Orm } ? Orm : E

/** The names of the roles. */
export type RoleOf<E extends Engines> = keyof E & string

/** Stands for all roles in `reinit` and `dispose`. */
export const ALL_ROLES = '!all'
export type AllRoles = typeof ALL_ROLES
