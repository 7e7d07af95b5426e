import { dropPosition } from '../database/replica-channels.ts'
import type { OwnPositions } from '../database/replicas.ts'
import { formatPosition, laterOf, parsePosition, UNKNOWN_POSITION, type WalPosition } from '../database/wal-position.ts'
import { InvalidPositionError } from './errors.ts'

/** By role: up to where its commits are to be shown. */
export type PositionsByRole = ReadonlyMap<string, WalPosition>

const NONE: PositionsByRole = new Map()
/** Beside what the names of the roles take. */
const LONGEST = 200
const LONGEST_POSITION = ':FFFFFFFF/FFFFFFFF,'
const TEXT =
  /^[\p{ID_Continue}$_]+:[0-9A-F]{1,8}\/[0-9A-F]{1,8}(?:,[\p{ID_Continue}$_]+:[0-9A-F]{1,8}\/[0-9A-F]{1,8})*$/u

/** Reads such as `writer:0/1802000`. Undefined for anything else, and for roles that are not known. */
function parsePositions(text: string, roles: readonly string[]): PositionsByRole | undefined {
  if (!TEXT.test(text)) return undefined
  const positions = new Map<string, WalPosition>()
  for (const part of text.split(',')) {
    const [role = '', position] = part.split(':')
    const parsed = parsePosition(position)
    if (parsed === undefined || !roles.includes(role)) return undefined
    positions.set(role, laterOf(positions.get(role) ?? 0n, parsed))
  }
  return positions
}

/** Writes them so; undefined where there are none. */
export function formatPositions(positions: PositionsByRole): string | undefined {
  const known = Array.from(positions).filter(([, position]) => position !== UNKNOWN_POSITION)
  return known.length === 0 ? undefined : known.map(([role, at]) => `${role}:${formatPosition(at)}`).join(',')
}

/** Reads what somebody brought along. What cannot be read counts as nothing. */
export type ReadPositions = () => PositionsByRole | Promise<PositionsByRole>

/** What the reads of one unit of work have to show: what it was given, and what it has committed. */
export class UnitPositions implements OwnPositions {
  /** Undefined for a unit that has committed nothing that replicas are to show. */
  #committed: Map<string, WalPosition> | undefined
  readonly #read: ReadPositions | undefined
  #given: PositionsByRole | Promise<PositionsByRole> | undefined

  constructor(read: ReadPositions | undefined) {
    this.#read = read
  }

  /** Takes over a commit of a role that replicas are to show. Where its position is not known, its reads go to the primary. */
  raise(role: string, position: WalPosition | undefined): void {
    if (position === undefined) warnOfUnknown(role)
    this.#committed ??= new Map()
    this.#committed.set(role, laterOf(this.committed(role), position ?? UNKNOWN_POSITION))
  }

  /** Whether it has committed anything that replicas are to show. */
  get isRaised(): boolean {
    return this.#committed !== undefined
  }

  committed(role: string): WalPosition {
    return this.#committed?.get(role) ?? 0n
  }

  given(role: string): WalPosition | Promise<WalPosition> {
    const given = this.#allGiven()
    return given instanceof Promise ? given.then((all) => all.get(role) ?? 0n) : (given.get(role) ?? 0n)
  }

  #allGiven(): PositionsByRole | Promise<PositionsByRole> {
    return (this.#given ??= this.#read?.() ?? NONE)
  }

  /** All of it, for what comes after it; without what is still being read. */
  get all(): PositionsByRole {
    const given = this.#allGiven()
    // What was given may be made up, or lost by a failover: where there is a commit of its own, that is behind it.
    return new Map([...(given instanceof Promise ? NONE : given), ...(this.#committed ?? NONE)])
  }

  /**
   * The same, where what `lastCommit` returns is later in a role that it has committed in: another request of the same client may
   * have committed and answered meanwhile.
   */
  latest(lastCommit: (role: string) => WalPosition): PositionsByRole {
    const all = new Map(this.all)
    for (const [role, position] of this.#committed ?? NONE) {
      if (position !== UNKNOWN_POSITION) all.set(role, laterOf(position, lastCommit(role)))
    }
    return all
  }

  /** Waits until what it was given is read. */
  async whenRead(): Promise<void> {
    this.#given = await this.#allGiven()
  }
}

/** What `after` says. @throws InvalidPositionError */
export function positionsAfter(after: unknown, roles: readonly string[]): PositionsByRole {
  const positions = typeof after === 'string' ? parsePositions(after, roles) : undefined
  if (positions === undefined) throw new InvalidPositionError(after, roles)
  return positions
}

/** As {@link positionsAfter}, of a text that a client has sent: what is no position counts as nothing. */
export function positionsFromOutside(text: string | undefined, roles: readonly string[]): PositionsByRole {
  if (text === undefined || text === '') return NONE
  const longest = roles.reduce((sum, role) => sum + role.length + LONGEST_POSITION.length, LONGEST)
  const positions = text.length > longest ? undefined : parsePositions(text, roles)
  if (positions === undefined) dropPosition('unreadable')
  return positions ?? NONE
}

/** As if each of them had committed just now, and nobody knew where. */
export function unknownPositions(roles: readonly string[]): PositionsByRole {
  return new Map(roles.map((role) => [role, UNKNOWN_POSITION]))
}

/** Notes that a response had left before its client could be given a position. */
export function dropAsSent(): void {
  dropPosition('sent')
}

function warnOfUnknown(role: string): void {
  process.emitWarning(
    `A commit of role "${role}" was carried out, and where it is could not be asked. The unit of work reads from the primary ` +
      `from here on; the next request of its client may not see the commit on a replica for a while.`,
    { code: 'SQLASSIST_POSITION_UNKNOWN' },
  )
}
