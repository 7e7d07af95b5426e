import type { MikroORM } from '@mikro-orm/core'
import type { Session } from '../session/session.ts'
import type { EngineOptions } from '../role/engine-options.ts'
import { ConfigurationError } from '../role/errors.ts'
import type { UnitPositions } from './positions.ts'

/** What `dbSessions` and `EngineRegistry` take: a MikroORM instance or options for each role. */
export type Engines = Readonly<Record<string, MikroORM<any, any, any> | EngineOptions<any>>>

/** The entity manager of one role's engine. */
export type EntityManagerOf<E> = E extends { readonly em: infer EM }
  ? EM
  : E extends { readonly orm: { readonly em: infer EM } }
    ? EM
    : never

export const DEFAULT_ROLE = '!default'
/** `'!default'`, which stands for the default role wherever a role is named. */
export type DefaultRole = typeof DEFAULT_ROLE

export const ROLE_STATUSES = ['INIT', 'START', 'END'] as const
/** A role as a unit of work sees it: `INIT`, never touched; `START`, open; `END`, over. Source: pyramid_sqlassist. */
export type RoleStatus = (typeof ROLE_STATUSES)[number]

/** `Then` if there is such a role; `unknown` where the types do not know the roles. */
type Where<E extends Engines, Role extends string, Then> = string extends keyof E
  ? unknown
  : Role extends keyof E
    ? Then
    : unknown

/**
 * The sessions of one unit of work: `ctx.dbSession`. Each role is a property that opens its session when first read.
 *
 * Reading a role throws UnitOfWorkEndedError after the end, and NoTransactionError when the handler ended the
 * transaction and began no other.
 */
export type DbSessionsContainer<E extends Engines = Engines> = {
  readonly [Role in keyof E]: EntityManagerOf<E[Role]>
} & Where<E, 'reader', { getReader(): EntityManagerOf<E['reader']> }> &
  Where<E, 'writer', { getWriter(): EntityManagerOf<E['writer']> }> &
  Where<E, 'logger', { getLogger(): EntityManagerOf<E['logger']> }> & {
    /** The session of a role by name. @throws UnknownRoleError */
    get<Role extends keyof E & string>(role: Role): EntityManagerOf<E[Role]>
    /** The session of the default role. @throws ConfigurationError if no role is the default */
    get(role: DefaultRole): EntityManagerOf<E[keyof E]>
    /** A session that is open already, by preference, else that of the first preferred role. */
    readonly any: EntityManagerOf<E[keyof E]>
    /** The same as `any`. */
    getAny(): EntityManagerOf<E[keyof E]>
    /** The session of the default role. @throws ConfigurationError if no role is the default */
    readonly default: EntityManagerOf<E[keyof E]>
    /** Where each role stands. */
    readonly status: Readonly<Record<keyof E & string, RoleStatus>>
    /** Declares that raw SQL wrote through this role, so that it is committed. @throws ReadOnlySessionError */
    markChanged(role: keyof E & string): void
  }

/** The unit of work whose sessions a container gives. @internal */
export interface SessionSource {
  /** @throws ConfigurationError if no role is the default */
  readonly defaultRole: string
  session(role: string): Session
  anySession(): Session
  status(): Record<string, RoleStatus>
  /** What its reads from replicas have to show. */
  readonly positions: UnitPositions
}

class Container {
  readonly #unit: SessionSource

  constructor(unit: SessionSource) {
    this.#unit = unit
  }

  // Getters of functions: a program may take a method off its container (`const { getReader } = ctx.dbSession`).

  get get(): (role: string) => unknown {
    return (role) => this.#em(role)
  }

  get any(): unknown {
    return this.#unit.anySession().em
  }

  get getAny(): () => unknown {
    return () => this.any
  }

  get default(): unknown {
    return this.#em(DEFAULT_ROLE)
  }

  get status(): Record<string, RoleStatus> {
    return this.#unit.status()
  }

  get markChanged(): (role: string) => void {
    return (role) => this.#unit.session(role).markChanged()
  }

  /** Makes a role a property of a class of containers, and `shorthand` its method. */
  static addRole(prototype: Container, role: string, shorthand: string | undefined): void {
    const em = (container: Container): unknown => container.#em(role)
    Object.defineProperty(prototype, role, {
      get(this: Container) {
        return em(this)
      },
      enumerable: true,
    })
    if (shorthand === undefined) return
    Object.defineProperty(prototype, shorthand, {
      get(this: Container) {
        return () => em(this)
      },
    })
  }

  /** @throws ConfigurationError where it is none */
  static unitOf(container: object): SessionSource {
    if (#unit in container) return container.#unit
    throw new ConfigurationError(
      'positionOf() was given no container of sessions. Give it ctx.dbSession, or the dbSession of a run.',
    )
  }

  #em(role: string): unknown {
    return this.#unit.session(role === DEFAULT_ROLE ? this.#unit.defaultRole : role).em
  }
}

/**
 * The class to extend for a container of your own, which every request and run of a registry gets:
 *
 * ```ts
 * class Sessions extends DbSessionsContainer<typeof engines> {
 *   get articles() { return this.writer.getRepository(Article) }
 * }
 * const registry = new EngineRegistry(engines, { containerClass: Sessions })
 * ```
 *
 * The library calls its constructor. Sessions open when they are read, so the constructor should read none.
 */
export const DbSessionsContainer = Container as unknown as new <E extends Engines>(
  unit: never,
) => DbSessionsContainer<E>

/** The unit of work whose sessions a container gives. @throws ConfigurationError where it is no container. @internal */
export function unitOf(container: object): SessionSource {
  return Container.unitOf(container)
}

const SHORTHANDS = { reader: 'getReader', writer: 'getWriter', logger: 'getLogger' } as const
const RESERVED = new Set<string>([
  ...Object.getOwnPropertyNames(Container.prototype),
  ...Object.getOwnPropertyNames(Object.prototype),
  ...Object.values(SHORTHANDS),
  'then',
  'toJSON',
])
const IDENTIFIER = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u

/** @throws ConfigurationError for a name that cannot be a property of the container. @internal */
export function assertRoleName(role: string): void {
  if (!IDENTIFIER.test(role)) {
    throw new ConfigurationError(
      `The role name ${JSON.stringify(role)} is no identifier, so ctx.dbSession could not have a property of that name. ` +
        `Use letters, digits, _ and $, such as "reader" or "auditLog".`,
    )
  }
  if (RESERVED.has(role)) {
    throw new ConfigurationError(
      `The role name "${role}" is one of the container's own names (${[...RESERVED].join(', ')}). Choose another.`,
    )
  }
}

/** A class of containers; `Base` is `DbSessionsContainer` or extends it. */
export type ContainerClass<Sessions extends object = object> = new (unit: never) => Sessions

/**
 * The container class for these roles. It is made once, so that a unit of work costs one small object.
 * @throws ConfigurationError for a base that does not extend DbSessionsContainer, or has a member of a role's name
 * @internal
 */
export function containerClass(
  roles: Iterable<string>,
  Base: ContainerClass = Container,
): new (unit: SessionSource) => object {
  assertBase(Base)
  class RoleContainer extends (Base as typeof Container) {}
  for (const role of roles) {
    assertNoMember(Base, role)
    const shorthand: string | undefined = SHORTHANDS[role as keyof typeof SHORTHANDS]
    const isOwn = shorthand !== undefined && shorthand in Base.prototype
    Container.addRole(RoleContainer.prototype, role, isOwn ? undefined : shorthand)
  }
  return RoleContainer
}

function assertBase(Base: ContainerClass): void {
  if (Base === Container || (typeof Base === 'function' && Base.prototype instanceof Container)) return
  throw new ConfigurationError(
    `containerClass is no class that extends DbSessionsContainer. Write ` +
      `class Sessions extends DbSessionsContainer<typeof engines> { ... } and give that.`,
  )
}

function assertNoMember(Base: ContainerClass, role: string): void {
  if (!(role in Base.prototype)) return
  throw new ConfigurationError(
    `containerClass ${Base.name} has a member "${role}", which is the name of a role. Rename one of the two.`,
  )
}
