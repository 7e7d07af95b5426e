import type { CommitGroup } from '../session/commit-group.ts'
import { CommitFencedError, CommitOutcomeUnknownError, ConnectionLostError } from '../database/errors.ts'
import { CommittedTooEarlyError, EndlessFlushError } from '../session/errors.ts'
import type { Finish } from '../database/prepared.ts'
import type { Session } from '../session/session.ts'
import type { CommitPlanner, Plan, PlannedDecision } from './commit-planner.ts'
import type { PreparedBranch, Member } from './prepared-branch.ts'
import type { Engine } from '../role/role.ts'
import { CommitGivenUpError, commitError } from './errors.ts'
import { retryForAWhile } from './retry-for-a-while.ts'
import { report } from '../transaction/warnings.ts'

/**
 * The commit of one transaction's sessions. Nothing happens before the last of them votes: only then it is known who
 * changed, and that every other resource agreed. First they are flushed until nothing is left: the flush of one may make
 * changes in another.
 *
 * 1. One changed session: COMMIT.
 * 2. Several: PREPARE TRANSACTION in all but the commit point, at the same time; then the commit point writes the decision
 *    and COMMITs, which decides for all; then, in tpcFinish, COMMIT PREPARED in the others, at the same time.
 * 3. Those that can neither be prepared nor decide commit just before the commit point: such a commit is not atomic.
 */
export class AtomicCommit implements CommitGroup {
  readonly #commits: CommitPlanner
  readonly #members: Member[] = []
  readonly #committed = new Set<Session>()
  #entered = 0
  #votes = 0
  #plan: Plan | undefined
  #outcome: 'open' | 'committed' | 'unknown' = 'open'
  #givenUp = false
  /** The vote under way; it never rejects. */
  #voting: Promise<void> | undefined
  #finishing: Promise<void> | undefined

  constructor(commits: CommitPlanner) {
    this.#commits = commits
  }

  add(member: Member): void {
    this.#members.push(member)
  }

  enter(): void {
    this.#entered++
  }

  vote(): Promise<void> | undefined {
    if (++this.#votes < this.#entered) return undefined
    const vote = this.#vote()
    this.#voting = vote.catch(() => undefined)
    return vote
  }

  finish(): Promise<void> | undefined {
    if (this.#plan !== undefined) this.#finishing ??= this.#finishBranches('commit')
    return this.#finishing
  }

  async giveUp(session: Session): Promise<void> {
    this.#givenUp = true
    // A vote that took longer than the transaction waits is still under way, and has to come to an end first.
    await this.#voting
    if (this.#outcome === 'committed') await this.finish()
    if (this.#outcome === 'open') await (this.#finishing ??= this.#finishBranches('rollback'))
    await session.abandon('its transaction was aborted')
    if (this.#committed.has(session) || session.committedEarly) throw new CommittedTooEarlyError(session.role)
  }

  async #vote(): Promise<void> {
    const open = this.#members.filter(({ session }) => !session.ended)
    if (!open.every(({ session }) => session.isSettled)) await settle(open)
    seal(open)
    const changed = await judge(open)
    const [only] = changed
    if (changed.length > 1) await this.#commitSeveral(changed)
    else if (only !== undefined) await this.#commitPlainly(only)
    this.#outcome = 'committed'
    for (const { session } of open) session.end('its transaction was committed')
  }

  async #commitSeveral(changed: readonly Member[]): Promise<void> {
    const plan = (this.#plan = await this.#commits.plan(changed))
    await allSettled(plan.branches.map((branch) => branch.prepare()))
    if (this.#givenUp) throw new CommitGivenUpError()
    if (plan.plain.length === 0) await this.#decide(plan)
    else await this.#commitOneByOne(plan, changed)
    for (const { session } of changed) this.#committed.add(session)
  }

  /** Those that can neither be prepared nor decide, and then the others. @throws PartialCommitError once one is committed, or may be */
  async #commitOneByOne(plan: Plan, changed: readonly Member[]): Promise<void> {
    let current = plan.point
    try {
      for (current of plan.plain) await this.#commitPlainly(current)
      current = plan.point
      await this.#decide(plan)
    } catch (error) {
      throw this.#partial(plan, changed, current, error)
    }
  }

  #partial({ plain, point }: Plan, changed: readonly Member[], failed: Member, error: unknown): unknown {
    const left = changed.filter(({ session }) => !this.#committed.has(session))
    // What is prepared goes as the commit point does.
    const mayBeCommitted = failed === point ? left.filter((member) => !plain.includes(member)) : [failed]
    const unknown = error instanceof CommitOutcomeUnknownError ? mayBeCommitted : []
    const outcome = {
      committed: rolesOf(changed.filter((member) => !left.includes(member))),
      rolledBack: rolesOf(left.filter((member) => !unknown.includes(member))),
      unknown: rolesOf(unknown),
    }
    return commitError(failed.session.role, outcome, error)
  }

  async #commitPlainly({ session }: Member): Promise<void> {
    await session.commitDatabase()
    this.#committed.add(session)
  }

  /** Once the decision is durable the transaction is committed, whatever happens from here on. */
  async #decide({ point, decision }: Plan): Promise<void> {
    const { role, database } = point.engine
    const { decisions } = database
    try {
      await point.session.commitDatabase(decision?.sql)
    } catch (error) {
      if (decision === undefined) throw error
      if (error instanceof CommitOutcomeUnknownError) {
        await this.#learn(point, decision, error)
        point.session.committed()
        return
      }
      if (error instanceof ConnectionLostError) decisions.lookAgain()
      throw decisions.isFence(error) ? new CommitFencedError(role, error) : (decisions.gone(error) ?? error)
    }
  }

  /** The answer to the COMMIT that decides was lost: asks. */
  async #learn(
    { engine, session }: Member,
    decision: PlannedDecision,
    unknown: CommitOutcomeUnknownError,
  ): Promise<void> {
    let committed
    try {
      committed = await this.#wasCommitted(engine, decision)
    } catch {
      this.#outcome = 'unknown'
      for (const branch of this.#branches) branch.leave()
      this.#commits.needRecovery()
      throw unknown
    }
    if (!committed) throw new ConnectionLostError(session.role, unknown.cause)
  }

  /**
   * What the database says now, it will say for ever. Where nothing was decided before, it is the others that tell: the row
   * of a commit is removed when recovery has finished all of them by it.
   * @throws when it cannot be told
   */
  async #wasCommitted({ database: { decisions } }: Engine, { id, database }: PlannedDecision): Promise<boolean> {
    return (await retryForAWhile(() => decisions.fence(id, database, () => this.#isFinished()))) === 'commit'
  }

  async #isFinished(): Promise<boolean> {
    const prepared = await Promise.all(this.#branches.map((branch) => branch.isPrepared()))
    return !prepared.includes(true)
  }

  get #branches(): readonly PreparedBranch[] {
    return this.#plan?.branches ?? []
  }

  async #finishBranches(how: Finish): Promise<void> {
    const finished = await Promise.all(this.#branches.map((branch) => branch.finish(how)))
    if (finished.includes(false)) this.#commits.needRecovery()
  }
}

/** How often the sessions of one transaction are flushed at most. */
const LONGEST_FLUSH = 100

/** Flushes all of them until none has changes. */
async function settle(members: readonly Member[]): Promise<void> {
  const sessions = members.map(({ session }) => session)
  for (let round = 1; ; round++) {
    const writing: string[] = []
    for (const session of sessions) if (!session.isSettled && (await session.settle())) writing.push(session.role)
    if (writing.length === 0 && sessions.every((session) => session.isQuiet)) return
    if (round === LONGEST_FLUSH) throw new EndlessFlushError(writing, LONGEST_FLUSH)
  }
}

/** Refuses every further statement. */
function seal(members: readonly Member[]): void {
  for (const { session } of members) {
    session.assertNotNested('The commit')
    session.seal()
  }
}

/** Those that have to be committed, and can be; the others are over with that. */
async function judge(members: readonly Member[]): Promise<Member[]> {
  const changed: Member[] = []
  for (const member of members) {
    const { session } = member
    if (!session.needsCommit) await session.settleUnmarkedWrites()
    if (session.needsCommit) {
      const asking = session.assertCommittable()
      if (asking !== undefined) await asking
      if (session.begun) changed.push(member)
    }
  }
  for (const { session } of members) {
    if (!session.needsCommit) await session.endUnchanged('its transaction was committed, with nothing to commit in it')
  }
  return changed
}

/** Their names. */
function rolesOf(members: readonly Member[]): string[] {
  return members.map(({ session }) => session.role)
}

/** Waits for all of them, then throws the first error in their order; the others are reported. */
async function allSettled(works: readonly Promise<void>[]): Promise<void> {
  const failures = (await Promise.allSettled(works)).filter((result) => result.status === 'rejected')
  const [first, ...others] = failures.map(({ reason }): unknown => reason)
  for (const other of others) report(other, `after: ${String(first)}`)
  if (failures.length > 0) throw first
}
