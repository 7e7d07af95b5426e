import { parsePosition, type WalPosition } from '../wal-position.ts'
import { PrimarySamples } from './primary-samples.ts'
import { isSameServer, PROBE_LIMIT_MS, identityColumns, type ServerIdentity } from './server-identity.ts'
import type { ServerLine } from './server-line.ts'

interface SampleRow extends ServerIdentity {
  readonly flushed: string | null
  readonly inserted: string | null
}

/** A server that is in recovery has neither, and would refuse to be asked. */
function unlessInRecovery(name: string): string {
  return `case when pg_catalog.pg_is_in_recovery() then null else pg_catalog.${name}()::text end`
}

function sampleSql(asksSystem: boolean): string {
  return (
    `select ${unlessInRecovery('pg_current_wal_flush_lsn')} as flushed, ${unlessInRecovery('pg_current_wal_insert_lsn')} as inserted, ` +
    identityColumns(asksSystem)
  )
}

/** Asks the primary where it is: every second while it is watched, and whenever somebody wants to know. */
export class PrimaryWatch {
  readonly samples: PrimarySamples
  readonly #line: ServerLine
  #identity: ServerIdentity | undefined
  #isInRecovery = false
  #asking: Promise<boolean> | undefined

  constructor(line: ServerLine, maxLagMs: number) {
    this.#line = line
    this.samples = new PrimarySamples(maxLagMs)
  }

  /** Which server it was when it was last asked. */
  get identity(): ServerIdentity | undefined {
    return this.#identity
  }

  /** Whether it was made a standby: it shows old states itself. */
  get isInRecovery(): boolean {
    return this.#isInRecovery
  }

  /** Asks, for all who want to know meanwhile. Whether it has answered. Never rejects. */
  ask(): Promise<boolean> {
    return (this.#asking ??= this.#ask().finally(() => (this.#asking = undefined)))
  }

  /**
   * Asks for what is true by now: an answer that is on its way may be older. For all who came while it was. Whether it has
   * answered. Never rejects.
   */
  async askAnew(): Promise<boolean> {
    await this.#asking
    return await this.ask()
  }

  async #ask(): Promise<boolean> {
    try {
      const { row, askedAt } = await this.#line.askAs<SampleRow>(sampleSql, PROBE_LIMIT_MS)
      const { flushed, inserted, ...identity } = row
      const [flushedAt, insertedAt] = [parsePosition(flushed), parsePosition(inserted)]
      this.#isInRecovery = flushedAt === undefined
      if (this.#identity !== undefined && !isSameServer(this.#identity, identity)) this.samples.clear()
      this.#identity = identity
      if (flushedAt === undefined || insertedAt === undefined) return false
      this.samples.add(askedAt, flushedAt, insertedAt)
      return true
    } catch {
      return false
    }
  }

  /**
   * Returns a position that somebody has handed in, or 0 where the primary has never been there: it is made up, or of a history
   * that was lost. Where the primary cannot be asked, it stands.
   */
  async checked(position: WalPosition): Promise<WalPosition> {
    if (this.#exists(position)) return position
    return (await this.askAnew()) && !this.#exists(position) ? 0n : position
  }

  #exists(position: WalPosition): boolean {
    const { newest } = this.samples
    return newest !== undefined && position <= newest
  }

  close(): void {
    this.#line.close()
  }
}
