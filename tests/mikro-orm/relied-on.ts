import { CONNECTION_RELIANCES } from './connections.ts'
import { ENTITY_RELIANCES } from './entities.ts'
import { MANAGER_RELIANCES } from './entity-managers.ts'
import { FORK_RELIANCES } from './forks.ts'
import { EVENT_RELIANCES } from './events.ts'
import { KYSELY_RELIANCES } from './kysely.ts'
import { PG_RELIANCES } from './pg.ts'
import type { Reliance } from './reliance.ts'
import { RESULT_CACHE_RELIANCES } from './result-cache.ts'
import { SCHEMA_RELIANCES } from './schema.ts'
import { UNIT_OF_WORK_RELIANCES } from './unit-of-work.ts'

/** Every private or undocumented part of MikroORM, Kysely and pg that source/ relies on. */
export const RELIED_ON: readonly Reliance[] = [
  ...ENTITY_RELIANCES,
  ...UNIT_OF_WORK_RELIANCES,
  ...MANAGER_RELIANCES,
  ...RESULT_CACHE_RELIANCES,
  ...FORK_RELIANCES,
  ...SCHEMA_RELIANCES,
  ...CONNECTION_RELIANCES,
  ...EVENT_RELIANCES,
  ...KYSELY_RELIANCES,
  ...PG_RELIANCES,
]
