/** What a program consists of: types only. */
export const DIALECTS = ['postgresql', 'sqlite'] as const
export type Dialect = (typeof DIALECTS)[number]

export type Databases = Dialect | 'both'

export const SLOTS = ['writer', 'audit', 'reader'] as const
export type Slot = (typeof SLOTS)[number]

/** A role; `reader` shares the writer's database, `audit` has one of its own. */
export interface Role {
  readonly name: Slot
  readonly dialect: Dialect
  readonly readOnly?: true | 'snapshot'
  readonly commit?: 'autonomous' | 'autocommit'
  readonly bestEffort?: true
  readonly keepSession?: true
  readonly pipelineCommit?: true
  readonly isolationLevel?: 'serializable' | 'repeatable read'
  readonly rawWrites?: 'commit' | 'error'
  /** What the server gives transactions of which nobody says more. */
  readonly server?: IsolationLevel
}

export type IsolationLevel = 'read committed' | 'repeatable read' | 'serializable'

/** What em.transactional() and em.begin() ask of their transaction. */
export interface Asked {
  readonly isolationLevel?: IsolationLevel
  readonly readOnly?: true
}

export const ENTRIES = ['run', 'http/1', 'http/2'] as const
export type Entry = (typeof ENTRIES)[number]

export interface Program {
  readonly roles: readonly Role[]
  readonly entry: Entry
  readonly attempts: number
  readonly disabled: boolean
  readonly steps: readonly Step[]
}

/** What a program runs in. */
export type Frame = Omit<Program, 'steps'>

/** How the code around a step treats its promise. `forgotten`: never awaited, its rejection ignored. */
export type Handling = 'awaited' | 'caught' | 'forgotten'

/** Through which entity manager: the session's own, or the global one of the ORM. */
export type Via = 'session' | 'global'

/** What is inserted is a fact of its own; the others change or remove a note. */
export const WRITES = [
  'create',
  'insert',
  'insertMany',
  'upsert',
  'raw',
  'raw marked',
  'kysely',
  'change',
  'native update',
  'native delete',
  'raw update',
  'kysely update',
  'remove',
] as const

/** Inserts by code of the database's own, or whose text hides them. */
export const HIDDEN_WRITES = {
  postgresql: [
    'function',
    'function of sql',
    'function by kysely',
    'function in find',
    'function in a stream',
    'function in explain',
    'function in a cursor',
    'procedure',
    'do',
    'with',
    'explain',
    'comment',
    'trigger',
    'trigger by insert',
    'view',
    'view by kysely',
    'rule',
    'reading view',
    'reading view by find',
  ],
  sqlite: ['with', 'comment', 'returning', 'trigger', 'trigger by insert', 'view', 'view by kysely'],
} as const
export type HiddenHow = (typeof HIDDEN_WRITES)[Dialect][number]
export type WriteHow = (typeof WRITES)[number] | HiddenHow

export const READS = ['find', 'count', 'raw', 'by id', 'all facts', 'its mode', 'its connection'] as const

/** What would outlive its unit on the connection to PostgreSQL. */
export const LEFTOVERS = [
  'set',
  'set local',
  'set_config',
  'set_config local',
  'set role',
  'function that sets',
  'find that sets',
  'view that sets',
  'procedure that sets',
  'temporary table',
  'function with a temporary table',
  'lock',
  'function that locks',
  'find that locks',
  'listen',
  'prepare',
  'cursor with hold',
] as const

/** Statements that would end or leave their transaction. */
export const ENDINGS = {
  postgresql: [
    'commit',
    'rollback',
    'begin',
    'end',
    'abort',
    'commit and chain',
    'prepare transaction',
    'behind a comment',
    'behind a nested comment',
    'behind a select',
    'behind an insert',
    'behind dollars',
    'procedure',
    'do',
    'backslash and commit',
    'backslash and rollback',
    'backslash and another',
  ],
  sqlite: [
    'commit',
    'rollback',
    'begin',
    'end',
    'behind a comment',
    'behind a select',
    'behind an insert',
    'behind a line',
  ],
} as const
export type EndingHow = (typeof ENDINGS)[Dialect][number]
export const FAILURES = ['unique', 'division', 'validation', 'unique at flush', 'late'] as const
export const MOMENTS = ['beforeCommit', 'afterCommit', 'beforeAbort', 'afterAbort'] as const

export type Step = { readonly id: number; readonly handling: Handling } & Action

export type Action =
  /** `shared`: a note that other steps change as well, by its number. */
  | {
      readonly do: 'write'
      readonly role: Slot
      readonly how: WriteHow
      readonly via: Via
      readonly flush: boolean
      readonly shared?: number
    }
  | { readonly do: 'flush'; readonly role: Slot }
  | { readonly do: 'load'; readonly role: Slot }
  | { readonly do: 'read'; readonly role: Slot; readonly how: (typeof READS)[number] }
  | { readonly do: 'fail'; readonly role: Slot; readonly how: (typeof FAILURES)[number] }
  /** em.transactional() */
  | {
      readonly do: 'scope'
      readonly role: Slot
      readonly steps: readonly Step[]
      readonly throws: boolean
      readonly asks?: Asked
    }
  /** em.begin() of the program's own, up to its em.commit() or em.rollback() */
  | {
      readonly do: 'own begin'
      readonly role: Slot
      readonly asks: Asked
      readonly steps: readonly Step[]
      readonly commits: boolean
    }
  | { readonly do: 'leave behind'; readonly role: Slot; readonly how: (typeof LEFTOVERS)[number] }
  | { readonly do: 'ending'; readonly role: Slot; readonly how: EndingHow }
  /** txn.savepoint(), and its rollback */
  | { readonly do: 'savepoint'; readonly steps: readonly Step[]; readonly rollback: boolean }
  /** Compares the entities in memory with their rows; `again` changes one of them and looks once more. */
  | { readonly do: 'compare'; readonly role: Slot; readonly again: boolean }
  | { readonly do: 'parallel'; readonly steps: readonly Step[]; readonly join: 'all' | 'allSettled' }
  | { readonly do: 'commit' | 'abort' | 'begin' }
  | { readonly do: 'doom' | 'veto' | 'leave' }
  | { readonly do: 'commit role' | 'roll back role'; readonly role: Slot }
  | { readonly do: 'kill'; readonly role: Slot }
  | { readonly do: 'hook'; readonly when: (typeof MOMENTS)[number]; readonly role?: Slot }
  /** A subscriber that creates a fact in `role` when the next fact of `on` is created. */
  | { readonly do: 'echo'; readonly on: Slot; readonly role: Slot }
  | {
      readonly do: 'join'
      readonly key: string
      readonly creates?: Slot
      readonly throws?: 'commit' | 'tpcVote' | 'tpcFinish'
    }
  | { readonly do: 'nested run'; readonly registry: 'same' | 'other'; readonly steps: readonly Step[] }
  | { readonly do: 'stream'; readonly role: Slot; readonly how: 'to its end' | 'abandoned' | 'with a read inside' }
  | { readonly do: 'body'; readonly role: Slot; readonly leaves: boolean }
  | { readonly do: 'throw'; readonly error: 'plain' | 'transient' | 'serialization'; readonly once: boolean }
  /** A branch of the first attempt that goes on when the second one is under way. */
  | { readonly do: 'late branch'; readonly steps: readonly Step[] }

export type StepOf<Do extends Action['do']> = Extract<Step, { readonly do: Do }>

export type EndStep = StepOf<'commit' | 'abort' | 'begin' | 'commit role' | 'roll back role'>
export type SettingStep = StepOf<'doom' | 'veto' | 'leave' | 'kill' | 'hook' | 'echo' | 'join' | 'body' | 'throw'>

/** The steps inside a step. */
export function inside(step: Step): readonly Step[] {
  return 'steps' in step ? step.steps : []
}

/** All steps, however deep. */
export function* everyStep(steps: readonly Step[]): Generator<Step> {
  for (const step of steps) {
    yield step
    yield* everyStep(inside(step))
  }
}

/** The database of a role: its name in the world. */
export function databaseOf({ name, dialect }: Role): string {
  return `${dialect} ${name === 'audit' ? 'two' : 'one'}`
}

/** Whether it takes part in the transaction of the unit of work. */
export function joins(role: Role): boolean {
  return role.readOnly === undefined && role.commit === undefined
}

/** The roles whose backend can be terminated. */
export function killable({ roles }: Frame): Role[] {
  return roles.filter((role) => role.dialect === 'postgresql' && (joins(role) || role.commit === 'autonomous'))
}

/** The roles whose connection something can be left on. */
export function leavable({ roles }: Frame): Role[] {
  return roles.filter(({ dialect }) => dialect === 'postgresql')
}
