import { FlushMode, ReferenceKind, type EntityManager, type EntityProperty } from '@mikro-orm/core'
import { silenceRelations } from './silent-relations.ts'
import { copyOfContext, helperOf, type Entity } from './wrapped-entity.ts'

/** How many entities one statement asks for. */
const BATCH = 500
const TO_MANY: readonly ReferenceKind[] = [ReferenceKind.ONE_TO_MANY, ReferenceKind.MANY_TO_MANY]

/** Entities that one statement can read: of one class and schema, with the same properties. */
interface Batch {
  readonly em: EntityManager
  /** None for mere references, of which only the row is looked for; undefined for the usual ones. */
  readonly fields: readonly string[] | undefined
  readonly entities: Entity[]
}

/** Reads managed entities anew from the database, and returns those without a row. */
export async function reload(entities: ReadonlyMap<Entity, EntityManager>): Promise<Entity[]> {
  const batches = [...batchesOf(entities)]
  const endSilence = silenceRelations(entities)
  try {
    const gone: Entity[] = []
    for (const batch of batches) gone.push(...(await readAll(batch)))
    return gone
  } finally {
    endSilence()
  }
}

/** Reads a batch of any size, and returns the entities without a row. */
async function readAll(batch: Batch): Promise<Entity[]> {
  const gone: Entity[] = []
  for (let start = 0; start < batch.entities.length; start += BATCH) {
    const some = batch.entities.slice(start, start + BATCH)
    const found = await read({ ...batch, entities: some })
    gone.push(...some.filter((entity) => !found.has(keyOf(entity))))
  }
  return gone
}

function batchesOf(entities: ReadonlyMap<Entity, EntityManager>): Iterable<Batch> {
  const numbers = new Map<unknown, number>()
  const numberOf = (value: unknown): number => numbers.get(value) ?? numbers.set(value, numbers.size).size - 1
  const batches = new Map<string, Batch>()
  for (const [entity, em] of entities) {
    const { __meta: meta, __schema: schema } = helperOf(entity)
    // An entity may be known by another key alone.
    if (meta.primaryKeys.some((name) => entity[name] === undefined || entity[name] === null)) continue
    const fields = fieldsOf(entity)
    const key = [numberOf(em), numberOf(meta.class), numberOf(schema), fields?.join(' ') ?? '*'].join(' ')
    const batch = batches.get(key) ?? { em, fields, entities: [] }
    batches.set(key, batch)
    batch.entities.push(entity)
  }
  return batches.values()
}

/** Lists the loaded properties of an entity; undefined if they are the ones loaded as a rule. */
function fieldsOf(entity: Entity): string[] | undefined {
  const { __meta: meta, __initialized: isInitialized } = helperOf(entity)
  if (isInitialized !== true) return []
  const columns = meta.props.filter((property) => isColumn(property))
  const loaded = columns.filter((property) => isLoaded(entity, property))
  const isUsual = columns.every((property) => loaded.includes(property) === (property.lazy !== true))
  return isUsual ? undefined : loaded.map(({ name }) => name)
}

function isColumn({ kind, embedded, persist, formula, lazy, ref }: EntityProperty): boolean {
  if (TO_MANY.includes(kind) || embedded !== undefined || (lazy === true && ref === true)) return false
  return persist !== false || formula !== undefined
}

function isLoaded(entity: Entity, property: EntityProperty): boolean {
  if (entity[property.name] !== undefined || helperOf(entity).__loadedProperties.has(property.name)) return true
  const parts = property.kind === ReferenceKind.EMBEDDED ? Object.values(property.embeddedProps) : []
  return parts.some((part) => isLoaded(entity, part))
}

async function read({ em, fields, entities }: Batch): Promise<Set<string>> {
  const [first] = entities
  if (first === undefined) return new Set()
  const { __meta: meta, __schema: schema } = helperOf(first)
  const options = {
    ...(schema === undefined ? {} : { schema: schema as string }),
    ...(fields === undefined ? {} : { fields: fields.length === 0 ? meta.primaryKeys : fields }),
    populate: false,
    refresh: true,
    filters: false,
    cache: false,
    flushMode: FlushMode.COMMIT,
  }
  // A mere reference is to stay one: another entity manager looks for its row.
  const reader = fields?.length === 0 ? em.fork({ keepTransactionContext: true }) : em
  const contexts = entities.map((entity) => copyOfContext(helperOf(entity).__serializationContext))
  const found = (await reader.find(meta.class as never, whereOf(entities), options as never)) as Entity[]
  entities.forEach((entity, index) => (helperOf(entity).__serializationContext = contexts[index] ?? {}))
  return new Set(found.map((entity) => keyOf(entity)))
}

function whereOf(entities: readonly Entity[]): object {
  const meta = helperOf(entities[0] as Entity).__meta
  const [key, ...others] = meta.primaryKeys
  if (key !== undefined && others.length === 0) return { [key]: { $in: entities.map((entity) => entity[key]) } }
  return { $or: entities.map((entity) => Object.fromEntries(meta.primaryKeys.map((name) => [name, entity[name]]))) }
}

function keyOf(entity: Entity): string {
  return (helperOf(entity) as unknown as { getSerializedPrimaryKey(): string }).getSerializedPrimaryKey()
}
