import { channel, tracingChannel } from 'node:diagnostics_channel'
import type { SqlEntityManager } from '@mikro-orm/sql'
import { logChannels, numbered } from '../transaction/debug-log.ts'
import { shown } from './raw-write-log.ts'
import type { ServedBy } from '../database/replicas.ts'
import { formatPosition } from '../database/wal-position.ts'
import type { SessionState } from './session-state.ts'

/** What every message about a session contains. */
export interface SessionMessage {
  /** The session's role. */
  readonly role: string
  /** The session's entity manager. */
  readonly em: SqlEntityManager
  /** The Koa ctx of its request, or the option `owner` of its run. */
  readonly owner: unknown
  /** The container of its request or run; undefined for a session of `registry.session()`. */
  readonly dbSession: object | undefined
  /** What is known of it at this moment. */
  readonly state: SessionState
}

/** `sqlassist:session:close`: the session ended; from here on every use of it throws. */
export interface SessionCloseMessage extends SessionMessage {
  /** What ended it, in words. */
  readonly reason: string
}

/** One entity that a flush writes. */
export interface EntityChange {
  /** What becomes of its row. */
  readonly kind: 'create' | 'update' | 'delete'
  /** The name of its class. */
  readonly entity: string
  /** Its primary key as text; undefined where the database is to make it. */
  readonly id: string | undefined
  /** The properties that are written, without the primary key. */
  readonly properties: readonly string[]
  /** Those of an update that become NULL. */
  readonly emptied: readonly string[]
}

/** `sqlassist:session:flush`: a flush with changes is about to send them. */
export interface FlushMessage extends SessionMessage {
  /** The entities, in the order of MikroORM's change sets. */
  readonly changes: readonly EntityChange[]
}

/** `sqlassist:session:statement`: a statement, from when it may be sent to its last row. */
export interface StatementMessage extends SessionMessage {
  /** The text; MikroORM puts values into it. */
  readonly sql: string
  /** What is sent beside the text. MikroORM sends none, Kysely does. */
  readonly parameters: readonly unknown[]
  /** Whether it runs in the session's database transaction. A statement outside of one commits at once. */
  readonly inTransaction: boolean
  /** Whether BEGIN is sent with it. */
  readonly begins: boolean
  /** The number of PostgreSQL's backend, set once the connection is there. */
  backend?: number | undefined
  /** The server that answered, in a role with replicas: `'primary'`, or host and port of a replica. Set once it is known. */
  server?: string | undefined
  /** How long it waited for a replica, in milliseconds; set with `server`. */
  waitedMs?: number | undefined
  /** The position that it had to show, as a pg_lsn in bytes, and where that comes from; set with `server`. */
  required?: ServedBy['required']
  /** Why it went to the primary, where a replica was to answer it; set with `server`. */
  fallback?: ServedBy['fallback']
  /** How many rows it gave or changed, set when it is done. */
  rows?: number | undefined
}

/** `sqlassist:session:end`: a database transaction is ended, by what `how` says. */
export interface TransactionEndMessage extends SessionMessage {
  /** Which statement ends it; a commit over several databases prepares first. */
  readonly how: 'commit' | 'prepare' | 'rollback' | 'commit prepared' | 'rollback prepared'
  /** The id of a prepared transaction. */
  readonly gid?: string | undefined
  /** Whether it also writes the decision of a commit over several databases. */
  readonly decides?: boolean | undefined
  /** The number of PostgreSQL's backend, set once it is known. */
  backend?: number | undefined
}

/** A session was opened; nothing was sent yet. */
export const sessionOpenChannel = channel('sqlassist:session:open')
/** A session ended. */
export const sessionCloseChannel = channel('sqlassist:session:close')
/** A flush that is about to send changes. */
export const flushChannel = channel('sqlassist:session:flush')
/** A statement. */
export const statementChannel = tracingChannel<StatementMessage>('sqlassist:session:statement')
/** The end of a database transaction. */
export const transactionEndChannel = tracingChannel<TransactionEndMessage>('sqlassist:session:end')

// The published build goes without these statements; that of the condition `development` has them.
DEBUG: logLife()

function logLife(): void {
  const sessionNumber = numbered('session')
  const of = ({ em, role }: SessionMessage): string => `${sessionNumber(em)} "${role}"`
  logChannels({
    plain: [
      [sessionOpenChannel, (message: SessionMessage) => [of(message), `open, ${message.state}`]],
      [
        sessionCloseChannel,
        (message: SessionCloseMessage) => [of(message), `close, ${message.state}: ${message.reason}`],
      ],
    ],
    traced: [
      [
        statementChannel,
        (message: StatementMessage) => [
          of(message),
          `${message.begins ? 'begin; ' : ''}${shown(message.sql)}${shownServer(message)}`,
        ],
      ],
      [transactionEndChannel, (message: TransactionEndMessage) => [of(message), message.how]],
    ],
  })
}

/** Known where a statement is at its end. */
function shownServer({ server, required }: StatementMessage): string {
  if (server === undefined) return ''
  const needs = required === undefined ? '' : `, needs ${formatPosition(required.position)} (${required.origin})`
  return ` at ${server}${needs}`
}
