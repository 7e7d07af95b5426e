import type { QueryResult } from 'pg'

/** The results of statements that were sent together, as far as they were carried out: one behind them may fail. */
export class CarriedOut {
  readonly results: QueryResult[] = []
  /** When they were sent, by `performance.now()`. */
  sentAt = 0

  /** Takes the results of a query, of which the last may be of a statement that failed. */
  take(results: QueryResult | readonly QueryResult[]): void {
    for (const result of 'at' in results ? results : [results]) if (result.command) this.results.push(result)
  }

  has(command: string): boolean {
    return this.indexOf(command) !== -1
  }

  /** Of the first result of that command; -1 where it was not carried out. */
  indexOf(command: string): number {
    return this.results.findIndex((result) => result.command === command)
  }
}

/** The part of pg's own queries that is overridden, or read; pg-cursor relies on the same: https://node-postgres.com/apis/client */
export interface AnsweredQuery {
  /** Of the statement at which the server is. */
  readonly _result: QueryResult
  /** Of all statements so far: an array where there is more than one. */
  readonly _results: QueryResult | QueryResult[]
  handleCommandComplete(message: unknown, connection: unknown): void
}
