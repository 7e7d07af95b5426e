import { channel } from 'node:diagnostics_channel'
import type { FallbackReason, ReplicaReport } from './replicas.ts'

/** `sqlassist:replica:state`: the state of a replica is another one. */
export interface ReplicaStateMessage extends ReplicaReport {
  /** The registry of its role. */
  readonly registry: object
  /** The role that reads from it. */
  readonly role: string
}

/** `sqlassist:replica:fallback`: a statement went to the primary, though its role has replicas. */
export interface ReplicaFallbackMessage {
  /** The role. */
  readonly role: string
  /** Why no replica could answer: behind, down, in conflict with what it replays, or no replica of this primary. */
  readonly reason: FallbackReason
  /** How long the statement waited for a replica, in milliseconds. */
  readonly waitedMs: number
  /** The container of its request or run; undefined outside of them. */
  readonly dbSession: object | undefined
}

/** `sqlassist:position:dropped`: what a client brought along, or was to be given, is no use. */
export interface PositionDroppedMessage {
  /** `'unreadable'`: no position; `'future'`: the primary has never been there; `'sent'`: the response had left already. */
  readonly reason: 'unreadable' | 'future' | 'sent'
}

/** The state of a replica is another one. */
export const replicaStateChannel = channel('sqlassist:replica:state')
/** A statement went to the primary. */
export const replicaFallbackChannel = channel('sqlassist:replica:fallback')
/** A position is no use. */
export const positionDroppedChannel = channel('sqlassist:position:dropped')

export function dropPosition(reason: PositionDroppedMessage['reason']): void {
  if (positionDroppedChannel.hasSubscribers) positionDroppedChannel.publish({ reason } satisfies PositionDroppedMessage)
}
