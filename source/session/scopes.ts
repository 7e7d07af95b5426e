import { NestedTransactionEndedError } from './nested-errors.ts'
import type { WrittenThen } from './write-state.ts'

/** A nested transaction: a savepoint of MikroORM's, and what is needed when it is rolled back. */
export interface Scope {
  readonly name: string
  /** The one that it was opened in. */
  readonly outer: Scope | undefined
  readonly written: WrittenThen
  /** Whether it may only read, in a role that writes. */
  readonly isReadOnly: boolean
  /** Whether something outside of it wrote meanwhile, which would be undone with it. */
  holdsOthersWrites: boolean
  /** Called as its rollback is sent: what it did in memory is to be undone before anything else is flushed. */
  undo?: () => Promise<void>
  /** Whether it has come to its own end. */
  isOver: boolean
}

/** The nested transactions of one database transaction that are open, each inside the one before. */
export class Scopes {
  readonly #role: string
  readonly #open: Scope[] = []

  constructor(role: string) {
    this.#role = role
  }

  get depth(): number {
    return this.#open.length
  }

  /** Whether one of them may only read: a statement from outside of it would be inside as well. */
  get isReadOnly(): boolean {
    return this.#open.length > 0 && this.#open.some(({ isReadOnly }) => isReadOnly)
  }

  open(name: string, outer: Scope | undefined, written: WrittenThen, isReadOnly: boolean): Scope {
    const scope: Scope = { name, outer, written, isReadOnly, holdsOthersWrites: false, isOver: false }
    this.#open.push(scope)
    return scope
  }

  isOpen(scope: Scope): boolean {
    return this.#open.includes(scope)
  }

  /**
   * In how many nested transactions a statement of `scope` is: 0 outside of any. What comes after its end is in the one around it.
   * @throws NestedTransactionEndedError where the one around it has ended before it
   */
  depthOf(scope: Scope | undefined): number {
    if (scope === undefined) return 0
    if (scope.isOver) return this.depthOf(scope.outer)
    const index = this.#open.indexOf(scope)
    if (index < 0) throw new NestedTransactionEndedError(this.#role)
    return index + 1
  }

  /** Ends one, and with it those inside. */
  end(scope: Scope): void {
    this.#open.splice(this.#open.indexOf(scope))
    scope.isOver = true
  }

  /** Returns the scopes deeper than `depth`. */
  deeperThan(depth: number): readonly Scope[] {
    return this.#open.slice(depth)
  }
}
