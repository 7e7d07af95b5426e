import type { WalPosition } from './wal-position.ts'

/** How a role reads from replicas. */
export interface ReplicaRules {
  /** The role whose commits they are to show. */
  readonly of: string
  /** How old a state may be that a statement shows. */
  readonly maxLagMs: number
  /** How long a statement waits for a replica. */
  readonly waitMs: number
  /** Where it goes then: `'error'` is a NoReplicaError. */
  readonly otherwise: 'primary' | 'error'
}

/** How a replica stands: in use, too far behind, not answering, or no replica of the role's primary. */
export type ReplicaState = 'up' | 'lagging' | 'down' | 'foreign'

/** A replica as it is now. */
export interface ReplicaReport {
  /** Host and port. */
  readonly replica: string
  /** How it stands. */
  readonly state: ReplicaState
  /** Why it is in that state; empty while it has always been up. */
  readonly reason: string
  /** Where it is, as PostgreSQL writes it; undefined before it was asked. */
  readonly position: string | undefined
  /** How far it is behind, in milliseconds; undefined where that is not known. */
  readonly lagMs: number | undefined
  /** How many statements are on their way to it. */
  readonly inFlight: number
  /** How many statements it has answered. */
  readonly served: number
  /** How many of its statements were answered elsewhere in the end. */
  readonly moved: number
}

/** The positions that the statements of one unit of work have to show at least. */
export interface OwnPositions {
  /** Of what it has committed itself. */
  committed(role: string): WalPosition
  /** Of what it was given, by a client or a job. It may have to be read first, and may be made up. */
  given(role: string): WalPosition | Promise<WalPosition>
}

/** Where a required position comes from. */
export type PositionOrigin = 'own' | 'floor' | 'seen'

/** A database, and whether its server is a standby. */
export interface ClusterIdentity {
  /** The system identifier of the cluster, and the name of the database. */
  readonly database: string
  readonly isInRecovery: boolean
}

/** Which server has answered a statement, and why that one. */
export interface ServedBy {
  /** `'primary'`, or host and port of a replica. */
  readonly server: string
  /** How long the statement waited for a replica. */
  readonly waitedMs: number
  /** What it had to show, and where that comes from. Undefined where everything is at the primary. */
  readonly required?: { readonly position: WalPosition; readonly origin: PositionOrigin } | undefined
  /** Why it went to the primary, where a replica was to answer it. */
  readonly fallback?: FallbackReason | undefined
}

/** Why a statement went to the primary. */
export type FallbackReason = 'behind' | 'down' | 'conflict' | 'foreign'

/** How many statements went to the primary, by why. */
export type Fallbacks = Readonly<Partial<Record<FallbackReason, number>>>
