import type { Random } from '../crash/random.ts'
import { DIALECTS, type Databases, type Dialect, type Role } from './program.ts'

type Options = Omit<Role, 'name' | 'dialect'>

const JOINED: readonly Options[] = [
  {},
  {},
  {},
  { keepSession: true },
  { rawWrites: 'commit' },
  { rawWrites: 'error' },
  { keepSession: true, rawWrites: 'commit' },
]
const JOINED_POSTGRES: readonly Options[] = [
  { pipelineCommit: true },
  { pipelineCommit: true, keepSession: true },
  { isolationLevel: 'serializable' },
  { isolationLevel: 'repeatable read' },
  { isolationLevel: 'serializable', rawWrites: 'commit' },
  { server: 'serializable' },
  { server: 'repeatable read', rawWrites: 'error' },
]
const READERS: readonly Options[] = [{ readOnly: true }]
const READERS_POSTGRES: readonly Options[] = [
  { readOnly: true },
  { readOnly: true },
  { readOnly: true, isolationLevel: 'serializable' },
  { readOnly: 'snapshot' },
  { readOnly: 'snapshot' },
  { readOnly: 'snapshot', isolationLevel: 'repeatable read' },
]
const INDEPENDENT: readonly Options[] = [
  { commit: 'autonomous' },
  { commit: 'autonomous', bestEffort: true },
  { commit: 'autonomous', keepSession: true },
  { commit: 'autocommit' },
]

/** One to three roles: mostly a writer, with something beside it. */
export function dealRoles(random: Random, databases: Databases): Role[] {
  const one = dealDialect(random, databases)
  const two = dealDialect(random, databases)
  const roles: Role[] = [{ name: 'writer', dialect: one, ...dealWriter(random, one, 5) }]
  if (random.below(2) === 0) roles.push({ name: 'audit', dialect: two, ...dealWriter(random, two, 2) })
  if (random.below(3) === 0) roles.push({ name: 'reader', dialect: one, ...dealReader(random, one) })
  return roles
}

function dealDialect(random: Random, databases: Databases): Dialect {
  return databases === 'both' ? random.pick(DIALECTS) : databases
}

function dealWriter(random: Random, dialect: Dialect, joinedTo1: number): Options {
  if (random.below(joinedTo1 + 1) === 0) return random.pick(INDEPENDENT)
  return random.pick(dialect === 'sqlite' ? JOINED : [...JOINED, ...JOINED_POSTGRES])
}

function dealReader(random: Random, dialect: Dialect): Options {
  return random.pick(dialect === 'postgresql' ? READERS_POSTGRES : READERS)
}
