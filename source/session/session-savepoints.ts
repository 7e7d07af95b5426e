import { helper, type AnyEntity, type EventArgs, type EventSubscriber, type FlushEventArgs } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import { InvalidSavepointRollbackError, SqlassistError } from '../transaction/index.ts'
import { IdentityMapSnapshot } from './identity-map-snapshot.ts'
import { sessionOfEntityManager } from './session-binding.ts'

/**
 * A savepoint of the transaction was made or rolled back, or the session was, while `em.transactional()` was under way on
 * it, whose own savepoint would have been pulled from under it.
 */
export class NestedTransactionOpenError extends SqlassistError {
  static {
    this.prototype.name = 'NestedTransactionOpenError'
  }
  override readonly code = 'SQLASSIST_NESTED_TRANSACTION_OPEN'

  constructor(role: string, what: string) {
    super(
      `${what} was called while em.transactional() is under way on the session of role "${role}". Await it first, ` +
        `and leave its callback; inside of it em.transactional() nests once more.`,
    )
  }
}

/** The error of a savepoint whose database transaction is over. */
export function savepointIsGone(role: string): InvalidSavepointRollbackError {
  return new InvalidSavepointRollbackError(
    `The session of role "${role}" was committed or rolled back by itself after this savepoint, which is gone ` +
      `with that. Leave em.commit() and em.rollback() alone while there are savepoints to go back to.`,
  )
}

/** What a session remembers for its savepoints, oldest first. Which are still valid is the transaction's to know. @internal */
export class SessionSavepoints {
  #snapshots: IdentityMapSnapshot[] = []
  #named = 0

  /** A name for a savepoint in the database. MikroORM's own are called trx1, trx2 and so on. */
  newName(): string {
    return `sqlassist_${++this.#named}`
  }

  /** Remembers what the entity manager has in memory. It has to be flushed. */
  take(em: SqlEntityManager): IdentityMapSnapshot {
    // Registering it again does nothing, and without savepoints neither does the journal.
    em.getEventManager().registerSubscriber(journal)
    const snapshot = new IdentityMapSnapshot(em, this.#snapshots.at(-1))
    this.#snapshots.push(snapshot)
    return snapshot
  }

  /** Goes back to what was remembered, and forgets what was remembered later. */
  restore(snapshot: IdentityMapSnapshot): void {
    this.#snapshots.length = this.#snapshots.indexOf(snapshot) + 1
    snapshot.restore()
  }

  /** Tells every snapshot of what is about to change. */
  note(tell: (snapshot: IdentityMapSnapshot) => void): void {
    for (const snapshot of this.#snapshots) tell(snapshot)
  }
}

/** Keeps the snapshots up to date, whichever entity manager of the session it is that flushes. */
const journal: EventSubscriber = {
  async onFlush({ em, uow }: FlushEventArgs): Promise<void> {
    savepointsOf(em)?.note((snapshot) => snapshot.noteFlush(uow))
  },
  async beforeUpsert({ em, entity }: EventArgs<AnyEntity>): Promise<void> {
    if (helper(entity) !== undefined) savepointsOf(em)?.note((snapshot) => snapshot.noteUpsert(entity))
  },
  async afterUpsert({ em, entity }: EventArgs<AnyEntity>): Promise<void> {
    savepointsOf(em)?.note((snapshot) => snapshot.noteUpserted(entity))
  },
}

function savepointsOf(em: FlushEventArgs['em']): SessionSavepoints | undefined {
  return sessionOfEntityManager(em)?.savepoints
}
