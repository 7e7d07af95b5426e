/** What the parent and its processes tell each other. */
import type { RecoveryReport } from '../../source/index.ts'
import type { Side, Step } from './steps.ts'

export const ROLES = ['left', 'right', 'book'] as const
export type Role = (typeof ROLES)[number]

/** What a process needs to open the bank. */
export interface Access {
  /** Its `application_name`, by which the proxies know it. */
  readonly name: string
  readonly seed: number
  readonly ports: Readonly<Record<'left' | 'right', number>>
  readonly password: string
  /** The path of the SQLite file. */
  readonly book: string
  readonly defaultRole: Role
}

/** A SIGKILL by its own hand, since nobody can stand between a process and its SQLite file. */
export interface Death {
  readonly step: Step
  readonly side: Side
  /** How many such moments it survives first. */
  readonly skip: number
}

export type Order = { readonly do: 'go' | 'rest' | 'recover' } | { readonly do: 'die'; readonly at: Death }

/** The end of a transfer, as the one who asked for it saw it. */
export type Ending = 'acknowledged' | 'unknown' | 'failed'

export type Tell =
  | { readonly tell: 'ready' | 'resting' }
  | { readonly tell: Ending; readonly id: string; readonly error?: string }
  | { readonly tell: 'recovered'; readonly report?: RecoveryReport; readonly error?: string }

/** The id of a transfer names the databases it touches, so that everything needed to judge it is in each of its lines. */
export function transferId(worker: string, number: number, roles: readonly Role[]): string {
  return `${worker}.${number}:${roles.toSorted().join('+')}`
}

export function rolesOf(transfer: string): Role[] {
  return transfer.slice(transfer.indexOf(':') + 1).split('+') as Role[]
}
