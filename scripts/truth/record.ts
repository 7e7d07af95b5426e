/** What happened while a program ran, as its own code saw it: who was answered what, and when. */
import type { SqlEntityManager } from '@mikro-orm/sql'
import type { Role, Slot } from './program.ts'

/** What a row holds: undefined where there is none; a fact holds how often it is there. */
export type Value = string | number | null | undefined

/** A place that a write changes: a row, known by database, table and text. */
export type Cell = string

export interface Write {
  readonly cell: Cell
  readonly value: Value
  readonly role: Role
  readonly unit: Unit
  readonly scopes: readonly Scope[]
  /** The step, and the attempt. */
  readonly name: string
  readonly issued: number
  /** When its entity was asked for. */
  readonly since: number
  /** Only in memory until a flush. */
  readonly buffered: boolean
  /** Not by a subscriber, a hook or a data manager. */
  readonly byProgram: boolean
  /** In a branch that nobody awaited. */
  readonly isForgotten: boolean
  /** Whether its error may come when its statement has run. */
  readonly mayBreakOff: boolean
  /** Raw SQL that nobody declared. */
  readonly unmarked: boolean
  /** Assigned to an entity while something of its session was under way. */
  readonly meanwhile: boolean
  answered: number
  answer: 'pending' | 'done' | 'refused'
  /** Whether a flush has sent it. */
  flushed: boolean
  /** A flush of it failed, and none succeeded since. */
  shaky: boolean
}

/** An em.transactional(), or an em.begin() where MikroORM carries that out. */
export interface Scope {
  readonly role: Slot
  readonly called: number
  /** When its callback was done. */
  left: number
  answered: number
  outcome: 'open' | 'kept' | 'rolled back'
  /** Whether nothing is to be written in it. */
  readonly reads: boolean
  /** By em.begin(): what was only in memory stays there when it is rolled back. */
  readonly byHand?: true
}

export interface SavepointRecord {
  readonly called: number
  answered: number
  rollbackCalled: number
  rolledBack: number
}

/** The end of a transaction: of all joined roles, or of one role's own. */
export interface End {
  readonly called: number
  readonly roles: 'joined' | Slot
  readonly transaction: unknown
  answered: number
  outcome: 'pending' | 'committed' | 'aborted' | 'unknown' | 'refused'
  /** Roles that were rolled back although the others were committed, or the other way round, as the error says. */
  readonly except: Map<Slot, 'committed' | 'aborted' | 'unknown'>
  /** When a statement was sent that has ended it, which the library noticed: nothing undoes that. */
  readonly byStatement?: number
}

/** What a role saw when it read all facts. */
export interface View {
  readonly unit: Unit
  readonly role: Role
  readonly issued: number
  readonly answered: number
  readonly database: string
  readonly cells: ReadonlySet<Cell>
}

/** A statement or a flush that failed. `role` is undefined where it may be any that joined. */
export interface Failure {
  readonly role: Slot | undefined
  readonly issued: number
  readonly at: number
  readonly scopes: readonly Scope[]
  readonly what: string
}

export interface HookRecord {
  readonly when: string
  readonly transaction: unknown
  readonly calls: unknown[]
}

/** The entity manager of a role, on one level of nesting, with what it has in memory. */
export interface Level {
  em: SqlEntityManager
  pending: Write[]
  /** How many calls are under way. */
  busy: number
  entities: Map<Cell, { mark?: string | null | undefined }>
}

/** One attempt at the program, or a run nested in it. */
export class Unit {
  readonly attempt: number
  readonly roles: ReadonlyMap<Slot, Role>
  readonly disabled: boolean
  readonly isNested: boolean
  readonly ends: End[] = []
  readonly savepoints: SavepointRecord[] = []
  readonly failures: Failure[] = []
  readonly hooks: HookRecord[] = []
  readonly scopes: Scope[] = []
  /** Entities that were changed and flushed, and whose row is as before: a lie where the unit resolves. */
  readonly stuck: string[] = []
  /** What was to be left on a connection. */
  readonly leftBehind: { readonly role: Slot; readonly mark: string }[] = []
  /** Isolation levels that were asked for, and not refused. */
  readonly levels: { readonly role: Slot; readonly level: string }[] = []
  readonly base = new Map<Slot, Level>()
  /** Roles whose own commit may fail by what the program did. */
  readonly poisoned = new Set<Slot>()
  /** Roles with a subscriber that may fail: what it creates in is over when an autonomous role is flushed. */
  readonly fragile = new Set<Slot>()
  doomed = false
  vetoed = false
  left = false
  /** A resource that fails when the sessions may have committed. */
  lateResource = false
  usedTransaction = false
  /** What the code itself threw. */
  threw: unknown
  /** The transaction that was current at its end, where the program asked for it. */
  endTransaction: unknown
  endCalled = Infinity
  endAnswered = Infinity
  outcome: 'pending' | 'resolved' | 'rejected' | 'again' = 'pending'
  error: unknown
  /** What its end did with the roles that join: for the judge. */
  finalEnd: Pick<End, 'outcome' | 'except'> = { outcome: 'pending', except: new Map() }

  constructor(attempt: number, roles: readonly Role[], disabled: boolean, isNested: boolean) {
    this.attempt = attempt
    this.roles = new Map(roles.map((role) => [role.name, role]))
    this.disabled = disabled
    this.isNested = isNested
  }
}

export interface Lie {
  readonly kind: string
  readonly what: string
}

/** All of one play of a program. */
export class Journal {
  readonly writes: Write[] = []
  readonly views: View[] = []
  readonly units: Unit[] = []
  readonly lies: Lie[] = []
  #now = 0

  tick(): number {
    return ++this.#now
  }

  lie(kind: string, what: string): void {
    this.lies.push({ kind, what })
  }
}
