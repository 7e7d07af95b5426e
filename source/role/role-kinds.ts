import type { BeginOptions } from '../database/begin-options.ts'

/** What a kind of role does. */
export interface RoleRules {
  /** Whether its sessions may write. */
  readonly writes: boolean
  /** Whether a session has one database transaction, or none that lasts longer than a statement. */
  readonly scope: 'transaction' | 'statement'
  /** What its database transactions begin with, in place of the role's own option. */
  readonly begin: BeginOptions
  /** When its writes are committed. */
  readonly commits: 'with the transaction' | 'after the transaction' | 'at once' | 'never'
  /** Whether its sessions are cancelled with their unit of work. */
  readonly abortsWithUnit: boolean
  /** Whether a streamed body may read from it after its unit of work. */
  readonly readsLate: boolean
}

/** The five kinds of roles; docs/roles.md has the same table. */
export const ROLE_KINDS = {
  joined: {
    writes: true,
    scope: 'transaction',
    begin: {},
    commits: 'with the transaction',
    abortsWithUnit: true,
    readsLate: false,
  },
  reading: {
    writes: false,
    scope: 'statement',
    begin: { readOnly: true },
    commits: 'never',
    abortsWithUnit: true,
    readsLate: true,
  },
  snapshot: {
    writes: false,
    scope: 'transaction',
    begin: { isolationLevel: 'repeatable read', readOnly: true },
    commits: 'never',
    abortsWithUnit: true,
    readsLate: true,
  },
  autonomous: {
    writes: true,
    scope: 'transaction',
    begin: {},
    commits: 'after the transaction',
    abortsWithUnit: false,
    readsLate: false,
  },
  autocommit: {
    writes: true,
    scope: 'statement',
    begin: {},
    commits: 'at once',
    abortsWithUnit: false,
    readsLate: false,
  },
} as const satisfies Record<string, RoleRules>

export type RoleKind = keyof typeof ROLE_KINDS

/** What a kind of role does. */
export function rulesOf(kind: RoleKind): RoleRules {
  return ROLE_KINDS[kind]
}
