import { helper, type AnyEntity, type ChangeSet, type UnitOfWork } from '@mikro-orm/core'
import { flushChannel, type EntityChange, type FlushMessage } from './session-channels.ts'
import type { Traceable } from './trace.ts'

/** Publishes what a flush of the session is about to write. */
export function reportFlush(session: Traceable, uow: UnitOfWork): void {
  if (!flushChannel.hasSubscribers) return
  // Those of the other side are of no table.
  const collections = uow.getCollectionUpdates().filter(({ property }) => property.owner)
  const changes = [...uow.getChangeSets().map(changeOf), ...collections.map(changeOfCollection)]
  if (changes.length > 0) flushChannel.publish({ ...session.facts, changes } satisfies FlushMessage)
}

function changeOf({ entity, type, payload, meta }: ChangeSet<any>): EntityChange {
  const [kind] = type.split('_') as ['create' | 'update' | 'delete']
  const names = kind === 'delete' ? [] : Object.keys(payload).filter((name) => !meta.primaryKeys.includes(name))
  const emptied = kind === 'update' ? names.filter((name) => payload[name] === null || payload[name] === undefined) : []
  return { kind, entity: meta.className, id: idOf(entity), properties: names, emptied }
}

function changeOfCollection({ owner, property }: ReturnType<UnitOfWork['getCollectionUpdates']>[number]): EntityChange {
  const { className } = helper(owner).__meta
  return { kind: 'update', entity: className, id: idOf(owner), properties: [property.name], emptied: [] }
}

function idOf(entity: object): string | undefined {
  const wrapped = helper(entity as AnyEntity)
  return wrapped.hasPrimaryKey() ? wrapped.getSerializedPrimaryKey() : undefined
}
