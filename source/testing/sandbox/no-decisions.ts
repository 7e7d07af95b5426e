import type { DatabaseNames } from '../../database/database-names.ts'
import type { Decision, Decisions, DecisionSurvey, DecisionTable } from '../../database/decisions.ts'
import type { PreparedSurvey, PreparedTransactions } from '../../database/prepared.ts'

/** In a sandbox nothing outlives its connection: there is nothing to decide about later. */
export class NoDecisions implements Decisions {
  async ready(): Promise<DecisionTable> {
    return { database: 'sandbox', commitSql: () => '' }
  }

  lookAgain(): void {}

  isFence(): boolean {
    return false
  }

  gone(): undefined {}

  async fence(): Promise<Decision> {
    return 'abort'
  }

  async find(): Promise<undefined> {}

  async survey(): Promise<DecisionSurvey> {
    return { ...NAMES, committed: [] }
  }

  async remove(): Promise<void> {}
}

const NAMES: DatabaseNames = { identity: 'sandbox', name: 'sandbox', inherited: [], names: ['sandbox'] }

/** What is prepared in a sandbox is a savepoint. Where the server prepares nothing, nothing is prepared here either. */
export class NothingPrepared implements PreparedTransactions {
  readonly #server: PreparedTransactions

  constructor(server: PreparedTransactions) {
    this.#server = server
  }

  async survey(prefix: string): Promise<PreparedSurvey> {
    const { maxPrepared } = await this.#server.survey(prefix)
    return { identity: 'sandbox', maxPrepared, rows: [] }
  }

  async has(): Promise<boolean> {
    return false
  }

  async finish(): Promise<boolean> {
    return false
  }
}
