import { PreparedBranch, type Member } from './prepared-branch.ts'
import type { Engine } from '../role/engine.ts'
import { NotAtomicError } from './errors.ts'
import { globalId, newDecisionId, participantsText } from './global-id.ts'

export const ATOMIC = ['prefer', 'required'] as const
/** What a registry demands of a commit over several databases; see {@link EngineRegistryOptions.atomic}. Default `'prefer'`. */
export type Atomic = (typeof ATOMIC)[number]

/** The decision that the commit point writes down. @internal */
export interface PlannedDecision {
  readonly id: string
  /** The name of the commit point's database. */
  readonly database: string
  readonly sql: string
}

/** How several changed databases are committed. @internal */
export interface Plan {
  readonly branches: readonly PreparedBranch[]
  /** The members that can neither be prepared nor decide. */
  readonly plain: readonly Member[]
  /** The commit point: it commits last, and decides. */
  readonly point: Member
  /** The decision to write; undefined where nothing is prepared. */
  readonly decision: PlannedDecision | undefined
}

/** @internal */
export interface CommitPlannerOptions {
  readonly application: string
  readonly atomic: Atomic
  readonly defaultRole: string | undefined
  /** All engines, in the order they were given. */
  readonly engines: readonly Engine[]
  /** Called when a prepared transaction was left. */
  readonly needRecovery: () => void
}

/** Decides how the transactions of one registry are committed when they changed several databases. @internal */
export class CommitPlanner {
  readonly needRecovery: () => void
  readonly #options: CommitPlannerOptions
  /** Sets of roles already warned of. */
  readonly #warned: ReadonlySet<string>[] = []

  constructor(options: CommitPlannerOptions) {
    this.#options = options
    this.needRecovery = options.needRecovery
  }

  /** @throws NotAtomicError, DecisionTableError, or the driver's error when a database could not be asked */
  async plan(changed: readonly Member[]): Promise<Plan> {
    const { application } = this.#options
    const unable = await unableToPrepare(changed.map(({ engine }) => engine))
    const plain = changed.filter(({ engine }) => unable.includes(engine))
    const point = plain.pop() ?? this.#preferred(changed)
    const prepared = changed.filter((member) => member !== point && !plain.includes(member))
    if (plain.length > 0) this.#notAtomic(unable)
    if (prepared.length === 0) return { branches: [], plain, point, decision: undefined }
    const table = await point.engine.database.decisions.ready()
    const id = newDecisionId(application, point.engine.role, table.database)
    const participants = await Promise.all(
      prepared.map(async ({ engine }) => ({ role: engine.role, database: await engine.databaseName() })),
    )
    return {
      branches: prepared.map((member) => new PreparedBranch(member, globalId(id, member.engine.role))),
      plain,
      point,
      decision: {
        id,
        database: table.database,
        sql: table.commitSql({ id, participants: participantsText(participants) }),
      },
    }
  }

  /** Warns once of the roles that cannot be prepared, where there are several: no two of them commit as one. */
  async advise(): Promise<void> {
    const unable = await unableToPrepare(this.#options.engines.filter((engine) => engine.joins))
    if (unable.length > 1) this.#warn(unable)
  }

  /** Chooses the commit point where all can be prepared: the default role, else the first without `twoPhase: true`. */
  #preferred(changed: readonly Member[]): Member {
    const { engines, defaultRole } = this.#options
    const inOrder = changed.toSorted((left, right) => engines.indexOf(left.engine) - engines.indexOf(right.engine))
    const standing = inOrder.toSorted((left, right) => rank(left) - rank(right))
    return standing[0] as Member

    function rank({ engine: { role, options } }: Member): number {
      return (options.twoPhase === true ? 2 : 0) + (role === defaultRole ? 0 : 1)
    }
  }

  #notAtomic(unable: readonly Engine[]): void {
    if (this.#options.atomic === 'required') throw new NotAtomicError(unable.map(reasonOf))
    this.#warn(unable)
  }

  #warn(unable: readonly Engine[]): void {
    const roles = unable.map(({ role }) => role)
    if (this.#warned.some((set) => roles.every((role) => set.has(role)))) return
    this.#warned.push(new Set(roles))
    const consequence =
      this.#options.atomic === 'required'
        ? 'is refused, as atomic: "required" asks for'
        : 'is not atomic: each is committed by itself, one after the other'
    process.emitWarning(
      `A commit that changes more than one of these roles ${consequence}. ${unable.map(reasonOf).join(' ')}`,
      { code: 'SQLASSIST_NOT_ATOMIC' },
    )
  }
}

async function unableToPrepare(engines: readonly Engine[]): Promise<Engine[]> {
  const able = await Promise.all(engines.map((engine) => engine.canPrepare()))
  return engines.filter((_, index) => able[index] === false)
}

function reasonOf({ role, dialect, options }: Engine): string {
  if (dialect === 'sqlite') return `"${role}" is SQLite, which cannot prepare a transaction.`
  if (options.twoPhase === false) return `"${role}" has twoPhase: false.`
  return (
    `The server of "${role}" has max_prepared_transactions = 0: set it to at least its max_connections ` +
    `in postgresql.conf and restart it.`
  )
}
