import type { StatementKind } from '../../database/statement-kind.ts'

/** One statement of a frame. */
export interface FrameStatement {
  readonly kind: StatementKind
  readonly sql: string
  readonly parameters: readonly unknown[]
}

/** A statement about a savepoint of a frame. */
export interface NamedSavepoint {
  readonly sql: string
  readonly name: string
}
