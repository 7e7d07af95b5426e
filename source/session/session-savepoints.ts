import {
  helper,
  type AnyEntity,
  type EventArgs,
  type EventSubscriber,
  type FlushEventArgs,
  type UnitOfWork,
} from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import { InvalidSavepointRollbackError } from '../transaction/index.ts'
import { SessionSnapshot, type Restored } from '../memory/session-snapshot.ts'
import { reload } from '../memory/reload-entities.ts'
import { StrayEntities } from '../memory/stray-entities.ts'

/** The error of a savepoint whose database transaction is over. */
export function savepointIsGone(role: string): InvalidSavepointRollbackError {
  return new InvalidSavepointRollbackError(
    `The session of role "${role}" was committed or rolled back by itself after this savepoint, which is gone ` +
      `with that. Leave em.commit() and em.rollback() alone while there are savepoints to go back to.`,
  )
}

/**
 * What a session remembers for its savepoints and nested transactions, oldest first. Which are still valid is the
 * transaction's to know.
 * @internal
 */
export class SessionSavepoints {
  /** The session's entity manager, and those of the nested transactions under way, each inside the one before. */
  readonly #managers: SqlEntityManager[]
  readonly #role: string
  /** Keeps the snapshots up to date. Registering it again does nothing. */
  readonly #journal: EventSubscriber
  #strays: StrayEntities
  #snapshots: SessionSnapshot[] = []
  #named = 0

  constructor(em: SqlEntityManager, role: string, journal: EventSubscriber) {
    this.#journal = journal
    this.#managers = [em]
    this.#role = role
    this.#strays = new StrayEntities(role)
  }

  /** Whether nothing is remembered at present. */
  get isEmpty(): boolean {
    return this.#snapshots.length === 0 && this.#managers.length === 1
  }

  /** A name for a savepoint in the database. MikroORM's own are called trx1, trx2 and so on. */
  newName(): string {
    return `sqlassist_${++this.#named}`
  }

  /** Remembers what the session's entity managers have in memory, and `also` one that the program made. */
  take(also?: SqlEntityManager): SessionSnapshot {
    const managers = new Set(this.#managers)
    if (also !== undefined) managers.add(also)
    for (const manager of managers) manager.getEventManager().registerSubscriber(this.#journal)
    const snapshot = new SessionSnapshot([...managers], this.#snapshots.at(-1))
    this.#snapshots.push(snapshot)
    return snapshot
  }

  /** Remembers what is in memory as `nested` begins, the entity manager of a transaction nested on `em`. */
  enter(em: SqlEntityManager, nested: SqlEntityManager): SessionSnapshot {
    const snapshot = this.take(em)
    nested.getEventManager().registerSubscriber(this.#journal)
    this.#managers.push(nested)
    return snapshot
  }

  /** Forgets what was remembered as `nested` began. */
  leave(snapshot: SessionSnapshot, nested: SqlEntityManager): void {
    remove(this.#managers, nested)
    remove(this.#snapshots, snapshot)
  }

  /**
   * Goes back to what was remembered, forgets what was remembered later, and reads anew what came later.
   * @throws EntityNotRestoredError, or what the reading throws
   */
  async restore(snapshot: SessionSnapshot): Promise<void> {
    const [em] = this.#managers as [SqlEntityManager]
    const { later, unrestored } = this.#goBack(snapshot, em)
    for (const one of unrestored) this.#strays.assertRestored(one)
    await this.#reload(later)
  }

  /** Goes back to what was remembered as `nested` began, after its rollback. What cannot be put right, a flush refuses. */
  async undo(snapshot: SessionSnapshot, em: SqlEntityManager, nested: SqlEntityManager): Promise<void> {
    // The one around it has gone back already.
    if (!this.#snapshots.includes(snapshot)) return
    try {
      const { later } = this.#goBack(snapshot, em, nested)
      await this.#reload(later).catch(() => undefined)
    } catch (error) {
      this.#strays.addFailure(error)
    }
  }

  #goBack(snapshot: SessionSnapshot, heir: SqlEntityManager, givenUp?: SqlEntityManager): Restored {
    this.#snapshots.length = this.#snapshots.indexOf(snapshot) + 1
    for (const older of this.#snapshots) if (older !== snapshot) older.noteRollback(snapshot)
    const restored = snapshot.restore(heir, givenUp)
    for (const entity of restored.displaced) this.#strays.addDisplaced(entity, heir)
    this.#strays.addUnrestored(restored.unrestored)
    return restored
  }

  async #reload(later: Restored['later']): Promise<void> {
    if (later.size === 0) return
    try {
      for (const entity of await reload(later)) this.#strays.addGone(entity, later.get(entity) as SqlEntityManager)
    } catch (error) {
      for (const [entity, em] of later) this.#strays.addUnknown(entity, em, error)
      throw error
    }
  }

  /** Called when the session forgets all that it has in memory. */
  forgetStrays(): void {
    this.#strays = new StrayEntities(this.#role)
  }

  /** Of a flush, before anything is written. @throws as {@link StrayEntities.check} */
  noteFlush(em: FlushEventArgs['em'], uow: UnitOfWork): void {
    this.#strays.check(em, uow)
    this.note((snapshot) => snapshot.noteFlush(em, uow))
  }

  /** Passes every snapshot to the function, ahead of a change. */
  note(tell: (snapshot: SessionSnapshot) => void): void {
    for (const snapshot of this.#snapshots) tell(snapshot)
  }
}

function remove<T>(from: T[], item: T): void {
  const index = from.indexOf(item)
  if (index >= 0) from.splice(index, 1)
}

/** A subscriber that keeps snapshots up to date, whichever entity manager of a session it is that flushes. */
export function journalOf(savepointsOf: (em: FlushEventArgs['em']) => SessionSavepoints | undefined): EventSubscriber {
  return {
    async onFlush({ em, uow }: FlushEventArgs): Promise<void> {
      savepointsOf(em)?.noteFlush(em, uow)
    },
    async beforeUpsert({ em, entity }: EventArgs<AnyEntity>): Promise<void> {
      if (helper(entity) !== undefined) savepointsOf(em)?.note((snapshot) => snapshot.noteUpsert(em, entity))
    },
    async afterUpsert({ em, entity }: EventArgs<AnyEntity>): Promise<void> {
      savepointsOf(em)?.note((snapshot) => snapshot.noteUpserted(entity))
    },
  }
}
