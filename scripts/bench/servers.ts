import { BASELINE_ENTRY } from './baseline.ts'
import { DATABASES, type Database } from './databases.ts'
import { WORKS, type Work } from './works.ts'

export interface ServerPlan {
  readonly means: string
  /** The file in servers/. */
  readonly module: string
  /** Handed on to it. */
  readonly options?: Readonly<Record<string, unknown>>
  readonly env?: Readonly<Record<string, string>>
  readonly works: readonly Work[]
  readonly databases: readonly Database[]
  /** The server that this one's figures are held against, in the same rounds. */
  readonly against: string
}

const STORING = WORKS.filter((work) => work !== 'none')
const ATOMIC_OR_NOT = 'two: two transactions, nested; not atomic'

export const BASELINE = 'sqlassist-baseline'

/** In the order in which they take turns. */
export const SERVERS: Readonly<Record<string, ServerPlan>> = {
  koa: { means: 'Koa alone', module: 'koa', works: ['none'], databases: DATABASES, against: 'koa' },
  sessions: {
    means: 'Koa with dbSessions, of which nothing is opened',
    module: 'sqlassist',
    works: ['none'],
    databases: DATABASES,
    against: 'koa',
  },
  'by-hand': {
    means: `MikroORM by hand: fork for each request, em.transactional on writes (${ATOMIC_OR_NOT})`,
    module: 'by-hand',
    works: STORING,
    databases: DATABASES,
    against: 'by-hand',
  },
  'request-context': {
    means: "MikroORM's RequestContext middleware, em.flush on writes (two: one flush after the other; not atomic)",
    module: 'request-context',
    works: WORKS,
    databases: DATABASES,
    against: 'by-hand',
  },
  typeorm: {
    means: `TypeORM with typeorm-transactional (${ATOMIC_OR_NOT})`,
    module: 'typeorm',
    works: STORING,
    databases: ['postgresql'],
    against: 'by-hand',
  },
  pg: {
    means: `pg without an ORM: begin, statement, commit (${ATOMIC_OR_NOT})`,
    module: 'pg',
    works: STORING,
    databases: ['postgresql'],
    against: 'by-hand',
  },
  'better-sqlite3': {
    means: 'better-sqlite3 without an ORM, begin immediate on writes',
    module: 'better-sqlite3',
    works: STORING,
    databases: ['sqlite'],
    against: 'by-hand',
  },
  sqlassist: {
    means: 'this library, a reader and a writer (two: atomic)',
    module: 'sqlassist',
    works: STORING,
    databases: DATABASES,
    against: 'by-hand',
  },
  'sqlassist-disabled': {
    means: 'this library with SQLASSIST_DISABLE_TRANSACTION=1 (two: one commit after the other; not atomic)',
    module: 'sqlassist',
    env: { SQLASSIST_DISABLE_TRANSACTION: '1' },
    works: STORING,
    databases: DATABASES,
    against: 'by-hand',
  },
  'sqlassist-pipelined': {
    means: 'this library with pipelineCommit on the writing roles (two: atomic)',
    module: 'sqlassist',
    options: { writer: { pipelineCommit: true } },
    works: STORING,
    databases: ['postgresql'],
    against: 'by-hand',
  },
  'sqlassist-replicas': {
    means: 'this library with replicaOf on the reader, whose replica is the same server; against that without',
    module: 'sqlassist',
    options: { hasReplica: true },
    works: ['read', 'write'],
    databases: ['postgresql'],
    against: 'sqlassist',
  },
  [BASELINE]: {
    means: 'another build of this library, that of --baseline; against the present one',
    module: 'sqlassist',
    options: { library: BASELINE_ENTRY },
    works: WORKS,
    databases: DATABASES,
    against: 'sqlassist',
  },
  'roles-2': {
    means: 'this library with 2 roles',
    module: 'roles',
    options: { roles: 2 },
    works: ['none', 'read'],
    databases: ['postgresql'],
    against: 'roles-2',
  },
  'roles-50': {
    means: 'this library with 50 roles, of which a request uses as many as with 2',
    module: 'roles',
    options: { roles: 50 },
    works: ['none', 'read'],
    databases: ['postgresql'],
    against: 'roles-2',
  },
}

/** What a server does of what is asked for. There is only one SQLite file, so nothing is written in two. */
export function worksOf({ works, databases }: ServerPlan, database: Database, asked: readonly Work[]): Work[] {
  if (!databases.includes(database)) return []
  return asked.filter((work) => works.includes(work) && (database !== 'sqlite' || work !== 'two'))
}

/** Without a database there is nothing to write by hand: what is held against Koa alone then. */
export function againstIn(work: Work, { against }: ServerPlan): string {
  if (work !== 'none') return against
  return { 'by-hand': 'koa', sqlassist: 'sessions' }[against] ?? against
}
