import type { DatabaseConnection } from '../database/database.ts'
import { UndoneFromOutsideError } from './errors.ts'
import { abortedBy } from './failures.ts'
import type { Scope } from './scopes.ts'
import type { TransactionStatements } from './transaction-statements.ts'

/** Opens and ends the nested transactions of one database transaction, by savepoints. */
export class NestedScopes {
  readonly #role: string
  readonly #statements: TransactionStatements

  constructor(role: string, statements: TransactionStatements) {
    this.#role = role
    this.#statements = statements
  }

  /** Opens one in `outer`: a savepoint of MikroORM's, called `name`. `isReadOnly`: it may only read. */
  async open(name: string, outer: Scope | undefined, isReadOnly: boolean): Promise<Scope> {
    const { scopes, writes } = this.#statements
    const open = async (connection: DatabaseConnection): Promise<Scope> => {
      if (isReadOnly && connection.savepointToRead !== undefined) await connection.savepointToRead(name)
      else await connection.execute(`savepoint ${name}`, [])
      return scopes.open(name, outer, writes.now(), isReadOnly)
    }
    return await this.#statements.exclusive(open, { depth: scopes.depthOf(outer) })
  }

  /** @throws TransactionAbortedError when something failed in it, which the database may not know of */
  async release(scope: Scope): Promise<void> {
    const { scopes, failures } = this.#statements
    const depth = scopes.depthOf(scope)
    const failure = failures.first(depth)
    if (failure !== undefined) throw abortedBy(this.#role, failure.error)
    await this.#send(`release ${scope.name}`, depth)
    scopes.end(scope)
  }

  /** Undoes what was done and what failed in it. Where all is over, or the one around it is, it is undone already. */
  async rollBack(scope: Scope): Promise<void> {
    const { scopes, failures, writes, connection, isSealed } = this.#statements
    if (!scopes.isOpen(scope)) return
    const depth = scopes.depthOf(scope)
    scopes.end(scope)
    if (connection.hasEnded || isSealed || connection.isCancelled) return
    const undoing = this.#send(`rollback to ${scope.name}`, depth)
    // The nested transaction waits for its answer.
    void scope.undo?.()
    await undoing
    failures.undo(depth)
    writes.goBackTo(scope.written, true)
    if (scope.holdsOthersWrites) failures.note(new UndoneFromOutsideError(this.#role), depth - 1, true)
  }

  async #send(sql: string, depth: number): Promise<void> {
    await this.#statements.exclusive((connection) => connection.execute(sql, []), { depth })
  }
}
