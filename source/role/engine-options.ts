import { IsolationLevel, type ForkOptions, type MikroORM } from '@mikro-orm/core'
import { RAW_WRITES, type RawWrites } from '../session/raw-writes.ts'
import type { ReplicaRules } from '../database/replicas.ts'
import { ConfigurationError } from './errors.ts'
import { resolveForkOptions } from './fork-options.ts'
import { resolveReplicaOf, type ReplicaOf } from './replica-options.ts'
import { rulesOf, type RoleKind } from './role-kinds.ts'

export const COMMIT_MODES = ['joined', 'autonomous', 'autocommit'] as const
/** When a role commits; see {@link EngineOptions.commit}. Default `'joined'`. */
export type CommitMode = (typeof COMMIT_MODES)[number]

export const TWO_PHASE = ['auto', true, false] as const
/** Whether a role is prepared when several commit as one; see {@link EngineOptions.twoPhase}. Default `'auto'`. */
export type TwoPhase = (typeof TWO_PHASE)[number]

/** One role: its MikroORM instance and how its sessions behave. */
export interface EngineOptions<Orm extends MikroORM<any, any, any> = MikroORM<any, any, any>> {
  /** The role's MikroORM instance. Each role needs one of its own. */
  readonly orm: Orm
  /** Whether `.default` names this role. Default: the only role, or `writer`. */
  readonly default?: boolean | undefined
  /**
   * `true`: each statement reads alone. A write or a lock throws ReadOnlySessionError; PostgreSQL is asked to refuse those
   * that no text shows, by a READ ONLY transaction around the statement, in the same round trip. `'snapshot'`: all of them
   * in one lazily begun REPEATABLE READ READ ONLY transaction. Default `false`.
   */
  readonly readOnly?: boolean | 'snapshot' | undefined
  /**
   * The writing role whose database's copies the ORM's `replicas` are: its statements go to a replica that shows every commit of
   * that role which the unit of work or its client has made, and else to the primary. Needs `readOnly`, and PostgreSQL.
   * Default: none.
   */
  readonly replicaOf?: ReplicaOf | undefined
  /**
   * `'joined'`: part of the one transaction. `'autonomous'`: a transaction of its own, committed when the unit of work
   * ends, even if the rest aborts. `'autocommit'`: every flush and statement commits at once. Default `'joined'`.
   */
  readonly commit?: CommitMode | undefined
  /**
   * Whether its transaction is prepared when a commit spans several changed databases. `'auto'`: where the database can, and
   * it is not the one that decides. `false`: never. `true`: always, without asking the server first, and it decides only
   * where all have `true`. SQLite never prepares. Default `'auto'`.
   */
  readonly twoPhase?: TwoPhase | undefined
  /** A failure to commit an autonomous or autocommit role warns and does not fail the request. Default `false`. */
  readonly bestEffort?: boolean | undefined
  /** `'changed'`: raw SQL counts as a write from the start. Default `'active'`. */
  readonly initialState?: 'active' | 'changed' | undefined
  /**
   * What becomes of raw SQL that wrote without markChanged: `'rollback'` it and warn, `'commit'` it, or `'error'`: fail the
   * commit with UnmarkedWriteError. Default `'rollback'`.
   */
  readonly rawWrites?: RawWrites | undefined
  /** Keep the identity map after commit or abort instead of clearing it. Default `false`. */
  readonly keepSession?: boolean | undefined
  /**
   * Isolation level of the database transaction. PostgreSQL validates the reads of a serializable one by COMMIT, so that one
   * that only read is committed as well, before the answer; where the server's default is serializable, say it here all the
   * same. Not for `'autocommit'`, and `'snapshot'` has its own. Default: the database's own.
   */
  readonly isolationLevel?: IsolationLevel | `${IsolationLevel}` | undefined
  /**
   * PostgreSQL, joined: COMMIT goes along with the last statement where the commit's own flush is provably that one statement
   * and nobody else takes part in the commit, which saves a round trip; otherwise as ever. Default `false`.
   */
  readonly pipelineCommit?: boolean | undefined
  /** Inside a unit of work the global `orm.em` and its repositories resolve to this role's session. Default `true`. */
  readonly scoped?: boolean | undefined
  /**
   * Passed on to `em.fork()`, but for what sessions cannot have: `useContext`, `disableTransactions`, `clear: false`.
   * Default `{}`.
   */
  readonly fork?: ForkOptions | undefined
}

/** The options of a role with every default filled in; made once, never written to. */
export interface ResolvedEngineOptions {
  readonly role: string
  /** The kind of role that `readOnly` and `commit` make. */
  readonly kind: RoleKind
  readonly orm: MikroORM<any, any, any>
  readonly isDefault: boolean
  readonly readOnly: boolean | 'snapshot'
  /** Undefined where it reads from no replicas. */
  readonly replicaOf: ReplicaRules | undefined
  readonly commit: CommitMode
  readonly twoPhase: TwoPhase
  readonly bestEffort: boolean
  readonly initialState: 'active' | 'changed'
  readonly rawWrites: RawWrites
  readonly keepSession: boolean
  readonly isolationLevel: string | undefined
  readonly pipelineCommit: boolean
  readonly scoped: boolean
  readonly fork: ForkOptions
}

const OPTIONS = new Set<keyof EngineOptions>([
  'orm',
  'default',
  'readOnly',
  'replicaOf',
  'commit',
  'twoPhase',
  'bestEffort',
  'initialState',
  'rawWrites',
  'keepSession',
  'isolationLevel',
  'pipelineCommit',
  'scoped',
  'fork',
])
const SNAPSHOT_LEVELS: readonly unknown[] = [undefined, 'repeatable read']
const ISOLATION_LEVELS: readonly string[] = Object.values(IsolationLevel)

/**
 * Checks the options of `role` and fills in the defaults.
 * @throws ConfigurationError naming the role, the option, what was found and the fix
 */
export function resolveEngineOptions(role: string, engine: unknown): ResolvedEngineOptions {
  const given: EngineOptions = isMikroOrm(engine) ? { orm: engine } : resolveGiven(role, engine)
  const { readOnly = false, commit = 'joined' } = given
  return {
    role,
    kind: kindOf(given),
    orm: given.orm,
    isDefault: given.default ?? false,
    readOnly,
    replicaOf: resolveReplicaOf(role, given),
    commit,
    twoPhase: given.twoPhase ?? 'auto',
    bestEffort: given.bestEffort ?? false,
    initialState: given.initialState ?? 'active',
    rawWrites: given.rawWrites ?? 'rollback',
    keepSession: given.keepSession ?? false,
    isolationLevel: given.isolationLevel,
    pipelineCommit: given.pipelineCommit ?? false,
    scoped: given.scoped ?? true,
    fork: resolveForkOptions(role, given.fork, kindOf(given), given.orm),
  }
}

/** The kind of role that `readOnly` and `commit` stand for. */
function kindOf({ readOnly = false, commit = 'joined' }: EngineOptions): RoleKind {
  if (readOnly === false) return commit
  return readOnly === true ? 'reading' : 'snapshot'
}

function resolveGiven(role: string, engine: unknown): EngineOptions {
  if (typeof engine !== 'object' || engine === null) {
    throw new ConfigurationError(
      `The engine of role "${role}" is ${engine === null ? 'null' : typeof engine}. ` +
        `Give a MikroORM instance, or { orm: await MikroORM.init(...) } with options.`,
    )
  }
  const options = engine as EngineOptions
  if (!isMikroOrm(options.orm)) {
    throw new ConfigurationError(
      `The role "${role}" has no MikroORM instance: its orm is ${describe(options.orm)}. ` +
        `Give { orm: await MikroORM.init(...) }${(options.orm as unknown) instanceof Promise ? '; it was not awaited' : ''}.`,
    )
  }
  for (const name of Object.keys(options)) {
    if (!OPTIONS.has(name as keyof EngineOptions)) {
      throw new ConfigurationError(
        `The role "${role}" has an option "${name}", which does not exist. The options are ${[...OPTIONS].join(', ')}.`,
      )
    }
  }
  assertOneOf(role, 'readOnly', options.readOnly, [true, false, 'snapshot'])
  assertOneOf(role, 'commit', options.commit, COMMIT_MODES)
  assertOneOf(role, 'twoPhase', options.twoPhase, TWO_PHASE)
  assertOneOf(role, 'initialState', options.initialState, ['active', 'changed'])
  assertOneOf(role, 'rawWrites', options.rawWrites, RAW_WRITES)
  assertOneOf(role, 'isolationLevel', options.isolationLevel, ISOLATION_LEVELS)
  for (const name of ['default', 'bestEffort', 'keepSession', 'pipelineCommit', 'scoped'] as const) {
    assertOneOf(role, name, options[name], [true, false])
  }
  assertConsistent(role, options)
  return options
}

function assertConsistent(role: string, options: EngineOptions): void {
  const { writes, commits } = rulesOf(kindOf(options))
  if (!writes && (options.commit ?? 'joined') !== 'joined') {
    throw new ConfigurationError(
      `The role "${role}" is readOnly and has commit: '${options.commit}', but there is nothing to commit in it. ` +
        `Leave one of the two out.`,
    )
  }
  if (!writes && options.initialState === 'changed') {
    throw new ConfigurationError(
      `The role "${role}" is readOnly and has initialState: 'changed'. Leave one of the two out.`,
    )
  }
  if (kindOf(options) === 'autocommit' && options.isolationLevel !== undefined) {
    throw new ConfigurationError(
      `The role "${role}" has commit: 'autocommit' and isolationLevel: '${options.isolationLevel}', which its flushes would not ` +
        `have. Leave it out, and give it to em.transactional(work, { isolationLevel }).`,
    )
  }
  if (kindOf(options) === 'snapshot' && !SNAPSHOT_LEVELS.includes(options.isolationLevel)) {
    throw new ConfigurationError(
      `The role "${role}" has readOnly: 'snapshot' and isolationLevel: '${options.isolationLevel}', but its transaction is ` +
        `REPEATABLE READ. Leave the isolationLevel out, or the readOnly: reads in a joined role are validated by COMMIT.`,
    )
  }
  if (options.pipelineCommit === true && commits !== 'with the transaction') {
    throw new ConfigurationError(
      `The role "${role}" has pipelineCommit: true, which is for roles that take part in the commit of the transaction. ` +
        `Leave it out, or the ${writes ? 'commit' : 'readOnly'} beside it.`,
    )
  }
}

function assertOneOf(role: string, name: string, found: unknown, allowed: readonly unknown[]): void {
  if (found === undefined || allowed.includes(found)) return
  throw new ConfigurationError(
    `The role "${role}" has ${name}: ${describe(found)}. ` +
      `It can be ${allowed.map((value) => JSON.stringify(value)).join(', ')}.`,
  )
}

function isMikroOrm(value: unknown): value is MikroORM<any, any, any> {
  // Not by instanceof: the application may have another copy of @mikro-orm/core than a package that depends on it.
  return typeof value === 'object' && value !== null && 'em' in value && 'driver' in value && 'config' in value
}

function describe(value: unknown): string {
  if (value === null || value === undefined || typeof value === 'boolean' || typeof value === 'number')
    return String(value)
  return typeof value === 'string' ? JSON.stringify(value) : `a ${value.constructor?.name ?? typeof value}`
}
