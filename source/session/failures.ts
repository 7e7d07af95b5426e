import { EndedByStatementError, TransactionAbortedError } from '../database/errors.ts'

/** What failed in a database transaction and was not undone by a savepoint: it keeps the transaction from being committed. */
export class Failures {
  #list: { readonly error: unknown; readonly depth: number; readonly losesWork: boolean }[] | undefined

  /** The first one at this depth of nested transactions or deeper. */
  first(depth = 0): { readonly error: unknown } | undefined {
    return this.#list?.find((failure) => failure.depth >= depth)
  }

  /** Whether one of them lost work that was to be written: then the session cannot end as if it had only read. */
  get loseWork(): boolean {
    return this.#list?.some(({ losesWork }) => losesWork) === true
  }

  /** Notes a failure at a depth of nested transactions; 0 is outside of any. */
  note(error: unknown, depth: number, losesWork: boolean): void {
    const list = (this.#list ??= [])
    // The first is the reason; one more counts only where it outlives the others.
    const isKnown = list.some((failure) => failure.depth <= depth && (failure.losesWork || !losesWork))
    if (!isKnown) list.push({ error, depth, losesWork })
  }

  /** Forgets failed statements at this depth or deeper, not the work that was lost with them. */
  forgetStatements(depth: number): void {
    this.#list = this.#list?.filter((failure) => failure.losesWork || failure.depth < depth)
  }

  /** A savepoint was rolled back to: what failed at this depth or deeper is undone. */
  undo(depth: number): void {
    this.#list = this.#list?.filter((failure) => failure.depth < depth)
  }
}

/** The error of a transaction that is not committed because of `cause`. */
export function abortedBy(role: string, cause: unknown): Error {
  return cause instanceof EndedByStatementError ? cause : new TransactionAbortedError(role, cause)
}
