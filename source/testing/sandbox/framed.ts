import type { FrameContext } from './frame-context.ts'

/** A database transaction in a sandbox, as the stack knows it that it is part of. */
export interface Framed {
  readonly role: string
  readonly context: FrameContext | undefined
  /** Whether all of it is kept from writing. */
  readonly onlyReads: boolean
  /** Why the database would refuse everything but its end, or a way back. */
  failure: unknown
  /** Whether it is committed. */
  isKept: boolean
  /** Whether it has written something, as far as the texts of its statements show it. */
  readonly hasWritten: boolean
  /** Whether raw SQL may have set something for the rest of its transaction. */
  readonly mayHaveSet: boolean
  readonly hasChangedSchema: boolean
}

/** One that has not ended. */
export interface OpenFrame extends Framed {
  /** Of its unit of work, as in a sentence. */
  readonly unitName: string
  /** Ends it: its test was rolled back, with everything that it has done. */
  abandon(reason: Error): void
}
