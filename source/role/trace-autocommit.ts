import type { Session } from '../session/session.ts'
import { ManagedSessionError } from '../session/errors.ts'
import { isNestedIn } from '../session/nested-transactions.ts'
import { shown } from '../session/raw-write-log.ts'
import { statementKind } from '../database/statement-kind.ts'
import { traceStatement, traceStream, type StatementDetails, type Traceable } from '../session/trace.ts'

type Method = (this: unknown, ...args: any[]) => any

/** A session of a role that commits every statement. */
export type AutocommitSession = Pick<
  Session,
  'role' | 'core' | 'em' | 'ended' | 'facts' | 'committed' | 'passing' | 'statements' | 'track'
>

/** What MikroORM gives its logger for a statement. */
interface Logged {
  readonly formatted?: string
}

/**
 * Traces statements of a role that commits every statement: MikroORM sends them past the session. Statements of Kysely
 * (`em.getKysely()`) do not come by here.
 */
export function tracedExecuteQuery(session: () => AutocommitSession | undefined): (original: Method) => Method {
  return (original) =>
    async function (this: unknown, sql: string, send: () => Promise<unknown>, logged: Logged) {
      const traceable = session()
      if (traceable === undefined) return await original.call(this, sql, send, logged)
      const { dialect } = traceable.core.settings
      const kind = statementKind(sql, dialect)
      // It would end a transaction of MikroORM's, or begin one on the only connection.
      if (kind === 'control' && (dialect === 'sqlite' || isInTransaction(traceable)))
        throw new ManagedSessionError(traceable.role, `"${shown(sql)}"`, true)
      const query = { sql: logged.formatted ?? sql, parameters: [] }
      const sent = () => original.call(this, sql, send, logged)
      const result = await traceable.passing.noting(() => traceStatement(traceable, query, noTransaction, sent, rowsOf))
      if (kind !== 'read') traceable.committed()
      return result
    }
}

/** Traces a stream. With one connection, a stream inside a transaction is read at once. */
export function tracedStream(
  session: () => Traceable | undefined,
  hasOneConnection: boolean,
): (original: Method) => Method {
  return (original) =>
    async function* (this: any, ...args) {
      const traceable = session()
      const [query, params, context, loggerContext] = args
      if (traceable !== undefined && hasOneConnection && context !== undefined) {
        return yield* (await this.execute(query, params, 'all', context, loggerContext)) as unknown[]
      }
      const rows = original.apply(this, args) as AsyncIterable<unknown>
      if (traceable === undefined) return yield* rows
      yield* traceStream(traceable, { sql: String(args[0]), parameters: [] }, noTransaction, rows, () => 1)
    }
}

function isInTransaction(session: AutocommitSession): boolean {
  return isNestedIn(session) || session.em.isInTransaction()
}

function noTransaction(): StatementDetails {
  return { inTransaction: false, begins: false, backend: undefined }
}

/** Counts the rows of a result as MikroORM gives it to its caller: rows, one row, or counts. */
function rowsOf(result: unknown): number {
  if (Array.isArray(result)) return result.length
  if (typeof result !== 'object' || result === null) return 0
  return 'affectedRows' in result ? Number(result.affectedRows) : 1
}
