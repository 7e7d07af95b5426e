import { randomBytes } from 'node:crypto'
import { GLOBAL_ID_PREFIX } from '../database/prepared.ts'

/** PostgreSQL takes 199 bytes; what is fixed of an id has 48, and the role may stand in it twice. */
export const LONGEST_APPLICATION = 32
export const LONGEST_ROLE = 56

/**
 * The name of a prepared transaction, as pg_prepared_xacts shows it:
 * `sqlassist:<application>:<deciding role>:<deciding database>:<random>:<role>`.
 *
 * Without its last part it is the key of the decision. The deciding database stands in it by the name that the library
 * gave it (in its decision table), since a role may be another database, or a copy, in another process.
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

/** The key of a decision: never the same twice, by 128 bits of chance. */
export function newDecisionId(application: string, decidingRole: string, decidingDatabase: string): string {
  return `${GLOBAL_ID_PREFIX}${application}:${decidingRole}:${decidingDatabase}:${randomBytes(16).toString('base64url')}`
}

export function globalId(decision: string, role: string): string {
  return `${decision}:${role}`
}

/** Undefined for what this version of the library did not make. */
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

/** One database in which something was prepared, as the row of the decision names it. */
export interface Participant {
  readonly role: string
  /** The name that the library gave to the database. */
  readonly database: string
}

export function participantsText(participants: readonly Participant[]): string {
  return participants.map(({ role, database }) => `${role}=${database}`).join(' ')
}

/** Undefined for what this version of the library did not write. */
export function participantsOf(text: string | null): readonly Participant[] | undefined {
  const parts = text?.split(' ').map((part) => part.split('='))
  if (parts === undefined || parts.some((part) => part.length !== 2 || part.includes(''))) return undefined
  return parts.map(([role = '', database = '']) => ({ role, database }))
}
