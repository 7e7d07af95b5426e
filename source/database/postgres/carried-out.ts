import type { QueryResult } from 'pg'

/** The results of statements that were sent together, as far as they were carried out: one behind them may fail. */
export class CarriedOut {
  readonly results: QueryResult[] = []
  /** When they were sent, by `performance.now()`. */
  sentAt = 0

  has(command: string): boolean {
    return this.indexOf(command) !== -1
  }

  /** Of the first result of that command; -1 where it was not carried out. */
  indexOf(command: string): number {
    return this.results.findIndex((result) => result.command === command)
  }
}

/** The part of pg's own queries that is overridden; pg-cursor relies on the same: https://node-postgres.com/apis/client */
export interface AnsweredQuery {
  /** Of the statement at which the server is. */
  readonly _result: QueryResult
  handleCommandComplete(message: unknown, connection: unknown): void
}
