/** What the steps of one unit work with, and how what they do is written down. */
import type { SqlEntityManager } from '@mikro-orm/sql'
import type { RunContext } from '../../source/index.ts'
import { isBlunder, isFailure, shown } from './errors.ts'
import type { Orm, Registry } from './lane.ts'
import type { Dialect, Program, Role, Slot, Step } from './program.ts'
import type { Cell, Failure, Journal, Level, Scope, Unit, Value, Write } from './record.ts'

/** What one play of a program needs beyond its units. */
export interface Play {
  readonly program: Program
  readonly journal: Journal
  /** Promises that nobody awaited. */
  readonly forgotten: Promise<unknown>[]
  /** Branches of the first attempt, and the gate they wait at. */
  readonly late: { readonly gate: PromiseWithResolvers<void>; readonly branches: Promise<unknown>[] }
  readonly echoes: { readonly on: Slot; readonly create: () => void }[]
  /** The client goes away; resolves when the server has noticed. */
  leave(): Promise<void>
  terminate(pid: number): Promise<void>
  other(dialect: Dialect): Promise<{ readonly registry: Registry; readonly orm: Orm; readonly role: Role }>
}

type Context = RunContext<any, any>

export class Stage {
  readonly play: Play
  readonly unit: Unit
  /** Of a run, or Koa's. */
  readonly context: Context & { [key: string]: any }
  readonly registry: Registry
  readonly databases: (role: Role) => string
  readonly scopes: readonly Scope[]
  /** Whether nobody awaits it. */
  readonly isForgotten: boolean
  readonly #levels: ReadonlyMap<Slot, Level>

  constructor(
    fixed: Pick<Stage, 'play' | 'unit' | 'context' | 'registry' | 'databases'>,
    scopes: readonly Scope[] = [],
    levels: ReadonlyMap<Slot, Level> = new Map(),
    isForgotten = false,
  ) {
    this.play = fixed.play
    this.unit = fixed.unit
    this.context = fixed.context
    this.registry = fixed.registry
    this.databases = fixed.databases
    this.scopes = scopes
    this.#levels = levels
    this.isForgotten = isForgotten
  }

  /** The same, inside a nested transaction. */
  nested(scope: Scope, level: Level): Stage {
    return new Stage(this, [...this.scopes, scope], new Map(this.#levels).set(scope.role, level), this.isForgotten)
  }

  /** The same, for a branch that nobody awaits. */
  forgotten(): Stage {
    return new Stage(this, this.scopes, this.#levels, true)
  }

  /** The same, outside of all nested transactions. */
  outside(): Stage {
    return new Stage(this)
  }

  /** The work of the unit, up to where it leaves the rest to the library. */
  async work(work: () => Promise<void>): Promise<void> {
    const { unit } = this
    try {
      await work()
    } catch (error) {
      unit.threw = error
      throw error
    } finally {
      unit.endTransaction = this.#transaction()
      unit.endCalled = this.now()
    }
  }

  /** Asked only where the program did: asking begins it. */
  #transaction(): unknown {
    try {
      return this.unit.usedTransaction ? this.context.txn : undefined
    } catch {
      return undefined
    }
  }

  role(slot: Slot): Role {
    return this.unit.roles.get(slot)!
  }

  now(): number {
    return this.play.journal.tick()
  }

  /** The level that code on this stage works on: of a nested transaction, or the session's own. */
  level(slot: Slot): Level {
    const nested = this.#levels.get(slot)
    if (nested !== undefined) return nested
    const em = this.context.dbSession.get(slot) as SqlEntityManager
    const known = this.unit.base.get(slot)
    if (known?.em === em) return known
    const level: Level = { em, pending: [], busy: 0, entities: new Map() }
    this.unit.base.set(slot, level)
    return level
  }

  em(slot: Slot, via: 'session' | 'global' = 'session'): SqlEntityManager {
    const { em } = this.level(slot)
    return via === 'global' ? (this.registry.get(slot) as Orm).em : em
  }

  cell(slot: Slot, table: 'fact' | 'note', text: string): Cell {
    return `${this.databases(this.role(slot))} ${table} ${text}`
  }

  name(step: Step): string {
    return `${step.id}.${this.unit.attempt}`
  }

  /** Writes down that something is about to be written. */
  write(
    step: Step,
    slot: Slot,
    cell: Cell,
    value: Value,
    how: { buffered?: boolean; unmarked?: boolean; byProgram?: boolean; since?: number; mayBreakOff?: boolean } = {},
  ): Write {
    const issued = this.now()
    const { buffered = false, unmarked = false, byProgram = true, since = issued, mayBreakOff = false } = how
    const write: Write = {
      cell,
      value,
      role: this.role(slot),
      unit: this.unit,
      scopes: this.scopes,
      name: this.name(step),
      issued,
      since,
      buffered,
      byProgram,
      isForgotten: this.isForgotten,
      unmarked,
      mayBreakOff,
      meanwhile: buffered && typeof value === 'string' && this.level(slot).busy > 0,
      answered: buffered ? issued : Infinity,
      answer: buffered ? 'done' : 'pending',
      flushed: false,
      shaky: false,
    }
    this.play.journal.writes.push(write)
    if (buffered) this.level(slot).pending.push(write)
    return write
  }

  /** Sends a write at once, and records what its caller gets. */
  async send<T>(slot: Slot, writes: readonly Write[], work: () => Promise<T>): Promise<T> {
    const tell = (answer: Write['answer']): void => {
      for (const write of writes) Object.assign(write, { answer, answered: this.now() })
    }
    try {
      const result = await this.ask(slot, work)
      tell('done')
      return result
    } catch (error) {
      tell('refused')
      throw error
    }
  }

  /** Sends something to a role's session, and writes down if it fails. */
  async ask<T>(slot: Slot, work: () => Promise<T>): Promise<T> {
    const level = this.level(slot)
    const sent = [...level.pending]
    const issued = this.now()
    level.busy++
    try {
      return await work()
    } catch (error) {
      for (const write of sent) write.shaky = true
      this.fail(slot, error, issued)
      throw error
    } finally {
      level.busy--
    }
  }

  /** Flushes; what was pending is answered by that. */
  async flush(slot: Slot): Promise<void> {
    const level = this.level(slot)
    const sent = [...level.pending]
    await this.ask(slot, () => level.em.flush())
    this.sent(level, sent, this.now())
  }

  /** What was pending on a level has been sent: by a flush, which answers it, or by the end that it waited for. */
  sent(level: Level, writes: readonly Write[], answered?: number): void {
    for (const write of writes) {
      // What a role that only reads has refused is not stored by a flush that finds nothing any more.
      const shaky = write.shaky && write.role.readOnly !== undefined
      Object.assign(write, { flushed: true, shaky, answered: answered ?? write.answered })
    }
    level.pending = level.pending.filter((write) => !writes.includes(write))
  }

  fail(role: Slot | undefined, error: unknown, issued: number = this.now()): void {
    this.notice(error)
    if (!isFailure(error)) return
    const failure: Failure = { role, issued, at: this.now(), scopes: this.scopes, what: shown(error) }
    this.unit.failures.push(failure)
  }

  /** Looks whether an error is one that nobody should see. */
  notice(error: unknown): void {
    if (isBlunder(error)) this.play.journal.lie('blunder', `${(error as Error).name}, ${shown(error)}`)
  }
}
