import type { CommitGroup } from '../session/commit-group.ts'
import { CommitFencedError, CommitOutcomeUnknownError, ConnectionLostError } from '../database/errors.ts'
import { CommittedTooEarlyError } from '../session/errors.ts'
import type { Finish } from '../database/prepared.ts'
import type { Session } from '../session/session.ts'
import type { CommitPlanner, Plan, PlannedDecision } from './commit-planner.ts'
import type { PreparedBranch, Member } from './prepared-branch.ts'
import type { Engine } from '../role/engine.ts'
import { CommitGivenUpError, commitError } from './errors.ts'
import { retryForAWhile } from './retry-for-a-while.ts'
import { areAllToCommit, areSettled, judge, seal, settleAndAnnounce } from './settle-and-judge.ts'
import { report } from '../transaction/warnings.ts'

/** What became of a commit. `given up`: the transaction aborts; a decision under way may still commit. */
type Outcome = 'open' | 'given up' | 'committed' | 'unknown'

const MOVES: Readonly<Record<Outcome, readonly Outcome[]>> = {
  open: ['given up', 'committed', 'unknown'],
  'given up': ['committed', 'unknown'],
  committed: [],
  unknown: [],
}

/**
 * The commit of one transaction's sessions. Nothing is committed before the last session votes: only then every other
 * resource has agreed. First all are flushed until nothing is left; then it depends on how many changed.
 *
 * 1. One changed session: COMMIT.
 * 2. Several: PREPARE TRANSACTION in all but the commit point, at the same time. The commit point writes the decision and
 *    COMMITs, which decides for all. Then, in tpcFinish, COMMIT PREPARED in the others, at the same time.
 * 3. Databases that can neither be prepared nor decide commit just before the commit point: such a commit is not atomic.
 */
export class AtomicCommit implements CommitGroup {
  readonly #commits: CommitPlanner
  readonly #members: Member[] = []
  readonly #committed: Session[] = []
  /** Counts the sessions in the commit that have yet to vote. */
  #missingVotes = 0
  #outcome: Outcome = 'open'
  /** Undefined unless several sessions changed. */
  #plan: Plan | undefined
  /** Where somebody hears that it is committed: the sessions, which end after that. */
  #hearing: readonly Member[] | undefined
  /** The vote under way or done. */
  #voting: Promise<void> | undefined
  /** The end of the branches, under way or done: they end once, one way. */
  #finishing: Promise<void> | undefined

  constructor(commits: CommitPlanner) {
    this.#commits = commits
  }

  add(member: Member): void {
    this.#members.push(member)
  }

  enter(): void {
    this.#missingVotes++
  }

  vote(): Promise<void> | undefined {
    if (--this.#missingVotes > 0) return undefined
    return (this.#voting = this.#vote())
  }

  finish(): Promise<void> | undefined {
    if (this.#plan !== undefined || this.#hearing !== undefined) this.#finishing ??= this.#finish()
    return this.#finishing
  }

  async #finish(): Promise<void> {
    if (this.#plan !== undefined) await this.#finishBranches('commit')
    if (this.#hearing === undefined) return
    for (const { session } of this.#hearing) await session.transaction.events.afterCommit()
    endAll(this.#hearing)
  }

  async giveUp(session: Session): Promise<void> {
    this.#become('given up')
    // A vote that took longer than the transaction waits is still under way, and has to come to an end first.
    await this.#voting?.catch(() => undefined)
    if (this.#outcome === 'committed') await this.finish()
    if (this.#outcome === 'given up') await (this.#finishing ??= this.#finishBranches('rollback'))
    await session.transaction.events.afterCommit()
    await session.abandon('its transaction was aborted')
    if (this.#committed.includes(session) || session.transaction.committedEarly)
      throw new CommittedTooEarlyError(session.role)
  }

  /** Ignores a move that is not legal: a decision stays. */
  #become(outcome: Outcome): void {
    if (MOVES[this.#outcome].includes(outcome)) this.#outcome = outcome
  }

  async #vote(): Promise<void> {
    const open = this.#members.filter(({ session }) => !session.ended)
    if (!areSettled(open)) await settleAndAnnounce(open)
    seal(open)
    const changed = areAllToCommit(open) ? open : await judge(open)
    const [only] = changed
    if (changed.length > 1) await this.#commitSeveral(changed)
    else if (only !== undefined) await this.#commitPlainly(only)
    this.#become('committed')
    if (changed.some(({ session }) => session.transaction.events.hearsAfterCommit)) this.#hearing = open
    else endAll(open)
  }

  async #commitSeveral(changed: readonly Member[]): Promise<void> {
    const plan = (this.#plan = await this.#commits.plan(changed))
    await allSettled(plan.branches.map((branch) => branch.prepare()))
    if (this.#outcome === 'given up') throw new CommitGivenUpError()
    if (plan.plain.length === 0) await this.#decide(plan)
    else await this.#commitOneByOne(plan, changed)
    for (const { session } of changed) this.#committed.push(session)
  }

  /**
   * Commits the databases that can neither be prepared nor decide, and then the others.
   * @throws PartialCommitError once one is committed, or may be
   */
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
    const left = changed.filter(({ session }) => !this.#committed.includes(session))
    // Prepared branches end as the commit point does.
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
    await session.transaction.commit()
    this.#committed.push(session)
  }

  /** Commits the point and thereby decides: once the decision is durable, no later failure undoes the commit. */
  async #decide({ point, decision }: Plan): Promise<void> {
    const { role, database } = point.engine
    const { decisions } = database
    try {
      await point.session.transaction.commit(decision?.sql)
    } catch (error) {
      if (decision === undefined) throw error
      if (error instanceof CommitOutcomeUnknownError) {
        await this.#learn(point, decision, error)
        point.session.transaction.statements.noteCommitted()
        return
      }
      if (error instanceof ConnectionLostError) decisions.lookAgain()
      throw decisions.isFence(error) ? new CommitFencedError(role, error) : (decisions.gone(error) ?? error)
    }
  }

  /** Asks for the decision, after the answer to the COMMIT that decides was lost. */
  async #learn(
    { engine, session }: Member,
    decision: PlannedDecision,
    unknown: CommitOutcomeUnknownError,
  ): Promise<void> {
    let committed
    try {
      committed = await this.#wasCommitted(engine, decision)
    } catch {
      this.#become('unknown')
      for (const branch of this.#branches) branch.leave()
      this.#commits.needRecovery()
      throw unknown
    }
    if (committed) return
    await session.transaction.events.rolledBack()
    throw new ConnectionLostError(session.role, unknown.cause)
  }

  /**
   * Asks by `fence`, whose answer is final. Where no row is found, the branches show why: recovery removes the row of a
   * commit only after it has committed every branch.
   * @throws the driver's error when the database cannot be asked
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

function endAll(members: readonly Member[]): void {
  for (const { session } of members) session.end('its transaction was committed')
}

function rolesOf(members: readonly Member[]): string[] {
  return members.map(({ session }) => session.role)
}

/** Waits for all works, then throws the first error in their order; the others are reported. */
async function allSettled(works: readonly Promise<void>[]): Promise<void> {
  const failures = (await Promise.allSettled(works)).filter((result) => result.status === 'rejected')
  const [first, ...others] = failures.map(({ reason }): unknown => reason)
  for (const other of others) report(other, `after: ${String(first)}`)
  if (failures.length > 0) throw first
}
