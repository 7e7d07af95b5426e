import { DefaultLogger } from '@mikro-orm/core'
import type { AbstractSqlPlatform, SqlEntityManager } from '@mikro-orm/sql'
import { connectionFor, type BeginOptions } from '../database/begin-options.ts'

/** What MikroORM keeps to itself: https://github.com/mikro-orm/mikro-orm/blob/v7.2.1/packages/core/src/connections/Connection.ts */
interface Logging {
  logQuery(sql: string, context: object): void
}

/** Shows in MikroORM's log, as MikroORM does, how the database transaction of a session begins and ends. */
export class TransactionLog {
  readonly #em: SqlEntityManager
  readonly #mode: { readonly begin: BeginOptions }

  constructor(em: SqlEntityManager, mode: { readonly begin: BeginOptions }) {
    this.#em = em
    this.#mode = mode
  }

  begin(): void {
    if (this.isSilent) return
    const options = this.#mode.begin as Parameters<AbstractSqlPlatform['getBeginTransactionSQL']>[0]
    for (const sql of this.#platform.getBeginTransactionSQL(options)) this.statement(sql)
  }

  commit(): void {
    this.statement(this.#platform.getCommitTransactionSQL())
  }

  rollback(): void {
    this.statement(this.#platform.getRollbackTransactionSQL())
  }

  statement(sql: string): void {
    if (this.isSilent) return
    const em = this.#em
    // The driver that the session gives to the program ends with the session.
    const connection = em.config.getDriver().getConnection(connectionFor(this.#mode.begin))
    const context = { id: em._id, ...em.getLoggerContext({ disableContextResolution: true }) }
    ;(connection as unknown as Logging).logQuery(sql, context)
  }

  /** Whether nobody sees it: MikroORM's own logger, which is asked, would make the whole message first. */
  get isSilent(): boolean {
    const { config } = this.#em
    const logger = config.getLogger()
    if (logger.logQuery !== DefaultLogger.prototype.logQuery || config.get('slowQueryThreshold') !== undefined)
      return false
    return !logger.isEnabled('query', this.#em.getLoggerContext({ disableContextResolution: true }))
  }

  get #platform(): AbstractSqlPlatform {
    return this.#em.getPlatform()
  }
}
