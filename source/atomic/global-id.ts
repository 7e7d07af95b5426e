import { randomBytes } from 'node:crypto'
import { GLOBAL_ID_PREFIX } from '../database/prepared.ts'

/** PostgreSQL allows ids of 199 bytes: 48 are fixed, and the role may occur twice. */
export const LONGEST_APPLICATION = 32
export const LONGEST_ROLE = 56

/**
 * The name of a prepared transaction, as pg_prepared_xacts shows it:
 * `sqlassist:<application>:<deciding role>:<deciding database>:<random>:<role>`.
 *
 * All parts but the last are the key of the decision. The deciding database has the name that the library gave it in its
 * decision table, since a role may lead to another database, or a copy, in another process.
 */
export interface GlobalId {
  readonly application: string
  /** The role that decides, as the process that committed called it. */
  readonly decidingRole: string
  readonly decidingDatabase: string
  /** The key of the decision. */
  readonly decision: string
  readonly role: string
}

/** The key of a decision, unique by 128 random bits. */
export function newDecisionId(application: string, decidingRole: string, decidingDatabase: string): string {
  return `${GLOBAL_ID_PREFIX}${application}:${decidingRole}:${decidingDatabase}:${randomBytes(16).toString('base64url')}`
}

export function globalId(decision: string, role: string): string {
  return `${decision}:${role}`
}

/** Undefined for an id that this version of the library did not make. */
export function parseGlobalId(gid: string): GlobalId | undefined {
  const parts = gid.split(':')
  if (parts.length !== 6 || parts.includes('')) return undefined
  const [, application, decidingRole, decidingDatabase, , role] = parts as [
    string,
    string,
    string,
    string,
    string,
    string,
  ]
  return { application, decidingRole, decidingDatabase, decision: parts.slice(0, -1).join(':'), role }
}

/** One database with a prepared transaction, as the row of the decision names it. */
export interface Participant {
  readonly role: string
  /** The name that the library gave to the database. */
  readonly database: string
}

export function participantsText(participants: readonly Participant[]): string {
  return participants.map(({ role, database }) => `${role}=${database}`).join(' ')
}

/** Undefined for a text that this version of the library did not write. */
export function participantsOf(text: string | null): readonly Participant[] | undefined {
  const parts = text?.split(' ').map((part) => part.split('='))
  if (parts === undefined || parts.some((part) => part.length !== 2 || part.includes(''))) return undefined
  return parts.map(([role = '', database = '']) => ({ role, database }))
}
