import type { Session } from './session.ts'

/** What the sessions of one transaction decide together: who prepares, who commits, and in which order. */
export interface CommitGroup {
  /** A session takes part in the commit that has begun. */
  enter(): void
  /** A session is ready. With the last of them, all that changed are committed, or the error is thrown that kept them. */
  vote(): Promise<void> | undefined
  /** Finishes what was only prepared; does not fail. */
  finish(): Promise<void> | undefined
  /**
   * Gives up the session's part, at any stage of the commit.
   * @throws CommittedTooEarlyError when it is committed and stays so
   */
  giveUp(session: Session): Promise<void>
}
