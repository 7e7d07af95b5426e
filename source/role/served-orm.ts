import type { Configuration, EntityManager } from '@mikro-orm/core'
import { innermost } from '../session/nested-transactions.ts'
import { innermostScope, type UnitScope } from './unit-scope.ts'
import { rulesOf, type RoleKind } from './role-kinds.ts'
import { askedTooLate } from './errors.ts'
import type { AutocommitSession } from './trace-autocommit.ts'

/** The role that an ORM has in a registry. */
export interface RoleOfOrm {
  readonly registry: object
  readonly role: string
  readonly scoped: boolean
  readonly kind: RoleKind
}

const all = new WeakMap<Configuration, ServedOrm>()
/** The ORMs of each registry. */
const byRegistry = new WeakMap<object, Set<ServedOrm>>()

/** The ORM that `em` belongs to, if an open registry uses it. */
export function servedOrmOf(em: EntityManager): ServedOrm | undefined {
  return all.get(em.config)
}

/** The ORM of a scoped role of `registry` that has this context name. */
export function scopedOrmOf(registry: object, name: string): ServedOrm | undefined {
  for (const served of byRegistry.get(registry) ?? [])
    if (served.name === name && served.isScopedIn(registry)) return served
  return undefined
}

/** An ORM that serves roles of one or more registries. Finds the unit of work that the running code is in. */
export class ServedOrm {
  readonly #config: Configuration
  // Weak: registries that nobody closes come and go over one ORM.
  readonly #roles = new WeakMap<object, RoleOfOrm>()
  readonly #undo: (() => void)[] = []
  #uses = 0
  #traced = false

  constructor(config: Configuration) {
    this.#config = config
    all.set(config, this)
  }

  add(role: RoleOfOrm): void {
    this.#roles.set(role.registry, role)
    this.#uses++
    const orms = byRegistry.get(role.registry)
    if (orms === undefined) byRegistry.set(role.registry, new Set([this]))
    else orms.add(this)
  }

  get name(): string {
    return this.#config.get('contextName')
  }

  /** Removes the role of a registry. The last registry leaves the ORM as it was. */
  remove(registry: object): void {
    byRegistry.get(registry)?.delete(this)
    if (!this.#roles.delete(registry) || --this.#uses > 0) return
    all.delete(this.#config)
    for (const step of this.#undo.toReversed()) step()
  }

  /** Keeps steps to take when no registry uses the ORM any more. */
  undoLater(steps: readonly (() => void)[]): void {
    this.#undo.push(...steps)
  }

  /** Installs the tracing, for the first of its roles that commits every statement. */
  trace(install: () => readonly (() => void)[]): void {
    if (this.#traced) return
    this.#traced = true
    this.undoLater(install())
  }

  serves(registry: object): boolean {
    return this.#roles.has(registry)
  }

  isScopedIn(registry: object): boolean {
    return this.#roles.get(registry)?.scoped === true
  }

  /**
   * The session's entity manager that the global one stands for here; opens it if need be. Undefined outside of units.
   * @throws UnitOfWorkEndedError in the code of a unit that has ended
   */
  sessionHere(): EntityManager | undefined {
    const scope = this.#scopeHere()
    if (scope === undefined) return undefined
    const { unit } = scope
    const { role } = this.#roleIn(scope)
    if (unit === undefined) throw askedTooLate(`The session of role "${role}"`)
    if (!unit.ended && !unit.isOpen) return undefined
    const session = unit.session(role)
    return innermost(session, session.em)
  }

  /** Whether the running code belongs to a unit of work that has ended. */
  get isOverHere(): boolean {
    const scope = this.#scopeHere()
    return scope !== undefined && scope.unit?.ended !== false
  }

  /** The role whose transaction a statement without a transaction context would leave. */
  roleToLeave(): string | undefined {
    const scope = this.#scopeHere()
    if (scope?.unit?.isOpen !== true) return undefined
    const { role, kind } = this.#roleIn(scope)
    // A role that commits every statement has no transaction to leave.
    return commitsAtOnce(kind) ? undefined : role
  }

  /** The role whose session has a transaction open, in a unit around the running code. */
  roleThatHoldsConnection(): string | undefined {
    const holds = ({ registry, unit }: UnitScope): boolean => {
      const role = this.#roles.get(registry)?.role
      return role !== undefined && unit?.isOpen === true && unit.holdsConnection(role)
    }
    const scope = innermostScope(holds)
    return scope === undefined ? undefined : this.#roleIn(scope).role
  }

  /** The open session of a role whose statements MikroORM sends past the session. */
  autocommitting(): AutocommitSession | undefined {
    const scope = innermostScope(({ registry }) => this.serves(registry))
    if (scope?.unit?.isOpen !== true) return undefined
    const { role, kind } = this.#roleIn(scope)
    return commitsAtOnce(kind) ? scope.unit.opened(role) : undefined
  }

  #scopeHere(): UnitScope | undefined {
    return innermostScope(({ registry }) => this.isScopedIn(registry))
  }

  #roleIn({ registry }: UnitScope): RoleOfOrm {
    return this.#roles.get(registry) as RoleOfOrm
  }
}

/** Whether MikroORM sends the statements of a role, past its session. */
export function commitsAtOnce(kind: RoleKind): boolean {
  return rulesOf(kind).commits === 'at once'
}
