import {
  helper,
  ReferenceKind,
  Utils,
  type AnyEntity,
  type EntityData,
  type EntityManager,
  type EntityMetadata,
  type EntityProperty,
} from '@mikro-orm/core'
import { NotASessionError } from '../session/errors.ts'
import { sessionOfEntityManager } from '../session/session.ts'
import { NotAnEntityError } from './errors.ts'

/** Stands for an old value that differs from every new one. */
const SOMETHING_ELSE = '\0'

/**
 * Copies an entity of one session into another, which manages the copy from then on: it flushes changes of the copy, and not
 * those of the original. Nothing is sent. The databases may be of different kinds.
 *
 * Changes of the original that were not flushed yet are changes of the copy as well. References of the copy point to the
 * same rows, as references of the target session. Collections and unloaded properties are not copied.
 *
 * @throws NotAnEntityError for a value that is no entity, or has no primary key yet
 * @throws NotASessionError when `session` is no session
 */
export function copyTo<Entity extends object>(entity: Entity, session: EntityManager): Entity {
  if (sessionOfEntityManager(session) === undefined) throw new NotASessionError()
  const original = (entity as AnyEntity).__helper
  if (original === undefined) throw new NotAnEntityError(`copyTo was given ${nameOf(entity)}, which is no entity.`)
  if (!original.hasPrimaryKey()) {
    throw new NotAnEntityError(
      `copyTo was given an entity ${nameOf(entity)} without a primary key. Flush it first, or create it in the target.`,
    )
  }
  const meta = session.getMetadata().get(entity.constructor) as unknown as EntityMetadata<Entity>
  const copy: Entity = session.merge<Entity>(meta.class, valuesOf(entity, meta) as never, { refresh: true })
  const snapshot: Record<string, unknown> = helper(copy).__originalEntityData ?? {}
  for (const name of changedProperties(entity)) snapshot[name] = SOMETHING_ELSE
  return copy
}

/** Copies the program's values, not the stored ones: another database may store them otherwise. */
function valuesOf<Entity extends object>(entity: Entity, meta: EntityMetadata<Entity>): EntityData<Entity> {
  const values: Record<string, unknown> = {}
  for (const property of meta.props) {
    const value: unknown = entity[property.name]
    if (value !== undefined && isCopied(property)) values[property.name] = valueOf(value)
  }
  return values as EntityData<Entity>
}

function isCopied({ kind, embedded }: EntityProperty): boolean {
  // Parts of an embeddable are properties of their own beside it.
  if (embedded !== undefined) return false
  return kind !== ReferenceKind.ONE_TO_MANY && kind !== ReferenceKind.MANY_TO_MANY
}

function valueOf(value: unknown): unknown {
  if (value === null || typeof value !== 'object') return value
  if ('unwrap' in value && typeof value.unwrap === 'function') return valueOf(value.unwrap())
  if (Utils.isEntity(value, true)) return helper(value).getPrimaryKey()
  return Utils.copy(value)
}

/** Compares as the entity's own session does. */
function changedProperties(entity: object): string[] {
  const { __em: em, __originalEntityData: stored } = helper(entity)
  if (em === undefined || stored === undefined) return []
  const comparator = em.getComparator()
  const { __meta: meta } = helper(entity)
  return Object.keys(comparator.diffEntities(meta.class, stored, comparator.prepareEntity(entity)))
}

function nameOf(value: object): string {
  return value.constructor?.name ?? 'an object'
}
