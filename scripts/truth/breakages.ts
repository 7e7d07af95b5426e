/** The library made wrong on purpose: a guard that cannot fail is worse than none. */
import { LeftBehind } from '../../source/database/left-behind.ts'
import { RawWriteLog } from '../../source/session/raw-write-log.ts'
import { TransactionStatements } from '../../source/session/transaction-statements.ts'
import { IndependentSessions } from '../../source/unit/independent-sessions.ts'
import { DisconnectWatch } from '../../source/koa/disconnect.ts'
import { SessionSnapshot } from '../../source/memory/session-snapshot.ts'
import { PostgresConnection } from '../../source/database/postgres/postgres-connection.ts'
import { PreparedTransaction } from '../../source/database/prepared-transaction.ts'
import { DatabaseTransaction } from '../../source/session/database-transaction.ts'
import { SessionCore } from '../../source/session/session-core.ts'
import { Session } from '../../source/session/session.ts'

export const BREAKAGES: Readonly<Record<string, () => void>> = {
  /** A savepoint that is rolled back leaves the entities as they are. */
  'entities-stay'() {
    SessionSnapshot.prototype.restore = () => ({ later: new Map(), displaced: new Set(), unrestored: [] })
  },
  /** A COMMIT that PostgreSQL turned into a ROLLBACK is taken for one. */
  'commit-believed'() {
    DatabaseTransaction.prototype.assertCommittable = () => undefined
    const { commit } = PostgresConnection.prototype
    PostgresConnection.prototype.commit = async function (...args) {
      const answer = await commit.apply(this, args)
      return answer.outcome === 'rolled back' ? { outcome: 'committed' } : answer
    }
  },
  /** Of several databases the prepared ones are never committed. */
  'second-commit-skipped'() {
    const { finish } = PreparedTransaction.prototype
    PreparedTransaction.prototype.finish = async function (how) {
      if (how === 'commit') this.leave()
      else await finish.call(this, how)
    }
  },
  /** What an autonomous role wrote in an attempt that failed is committed before the next one. */
  'earlier-attempt-kept'() {
    const { endWriters } = IndependentSessions.prototype
    IndependentSessions.prototype.endWriters = function () {
      return endWriters.call(this, false)
    }
    // Else it is noticed, and there is no next one.
    SessionCore.prototype.committed = () => undefined
  },
  /** Nobody looks whether the client went away. */
  'client-ignored'() {
    DisconnectWatch.prototype.closed = () => undefined
  },
  /** A session that reads in a snapshot keeps its connection. */
  'reader-left-open'() {
    const { rollbackDatabase } = Session.prototype
    Session.prototype.rollbackDatabase = async function () {
      if (this.state !== 'readonly') await rollbackDatabase.call(this)
    }
  },
  /** Connections go back with what was set and taken on them. */
  'connections-not-cleaned'() {
    LeftBehind.prototype.note = () => undefined
  },
  /** Nobody asks PostgreSQL whether a function has written. */
  'functions-believed'() {
    Object.defineProperty(RawWriteLog.prototype, 'mayHideWrites', { get: () => false })
  },
  /** What em.transactional() with readOnly sends is looked at by nobody. */
  'read-only-ignored'() {
    Object.defineProperty(TransactionStatements.prototype, 'isReadOnly', { get: () => false })
  },
}
