import { EndlessFlushError } from '../session/errors.ts'
import type { Session } from '../session/session.ts'
import type { Member } from './prepared-branch.ts'

/** How often the sessions of one transaction are flushed at most. */
const LONGEST_FLUSH = 100

/** Flushes all sessions until none has changes: the flush of one may make changes in another. */
async function settle(members: readonly Member[]): Promise<void> {
  const sessions = members.map(({ session }) => session)
  for (let round = 1; ; round++) {
    const writing: string[] = []
    for (const session of sessions) if (!session.isSettled && (await session.settle())) writing.push(session.role)
    if (writing.length === 0 && sessions.every((session) => session.isQuiet)) return
    if (round === LONGEST_FLUSH) throw new EndlessFlushError(writing, LONGEST_FLUSH)
  }
}

/** Whether {@link settleAndAnnounce} would do nothing. */
export function areSettled(members: readonly Member[]): boolean {
  return members.every(({ session }) => session.isSettled && !session.transaction.events.hearsBeforeCommit)
}

/**
 * Flushes all sessions until none has changes, also of what is done by those who hear that there will be a commit.
 * @throws what they throw
 */
export async function settleAndAnnounce(members: readonly Member[]): Promise<void> {
  for (let isAnnounced = true; isAnnounced;) {
    isAnnounced = false
    if (!members.every(({ session }) => session.isSettled)) await settle(members)
    for (const { session } of members) {
      const announcing = session.transaction.announceCommit()
      if (announcing !== undefined && (await announcing)) isAnnounced = true
    }
  }
}

/** Refuses every further statement. */
export function seal(members: readonly Member[]): void {
  for (const { session } of members) {
    session.assertNotNested('The commit')
    session.transaction.seal()
  }
}

/** Whether {@link judge} would do nothing, and return them all. */
export function areAllToCommit(members: readonly Member[]): boolean {
  return members.every(
    ({ session: { transaction } }) => transaction.needsCommit && transaction.begun && transaction.isKnownCommittable,
  )
}

/**
 * Returns the members that have to be committed, and can be; ends the sessions of the others.
 * @throws what keeps one of them from being committed, also where what it has read does not hold
 */
export async function judge(members: readonly Member[]): Promise<readonly Member[]> {
  const changed: Member[] = []
  for (const member of members) {
    const { session } = member
    if (!session.transaction.needsCommit) await session.transaction.settleUnmarkedWrites()
    if (session.transaction.needsCommit) {
      const asking = session.transaction.assertCommittable()
      if (asking !== undefined) await asking
      if (session.transaction.begun) changed.push(member)
    }
  }
  for (const { session } of members) if (session.transaction.needsValidation) await validate(session)
  for (const { session } of members) {
    if (!session.transaction.needsCommit)
      await session.endUnchanged('its transaction was committed, with nothing to commit in it')
  }
  return changed
}

async function validate({ transaction }: Session): Promise<void> {
  await transaction.validate()
  await transaction.events.afterCommit()
}
