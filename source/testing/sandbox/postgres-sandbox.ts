import type { Asker, SandboxDialect, Send, Sequences } from './sandbox-dialect.ts'

/**
 * Names that can be set alone. SET CONSTRAINTS refuses one in a schema that its user may not use, but ALL reaches those as well. One
 * that is not deferrable may have the same name: it is refused as DEFERRED, and not as IMMEDIATE.
 */
const DEFERRABLE = `select format('%I.%I', n.nspname, c.conname) as name,
  c.condeferred or not has_schema_privilege(n.oid, 'USAGE') as deferred
  from pg_catalog.pg_constraint c join pg_catalog.pg_namespace n on n.oid = c.connamespace where c.condeferrable`
const SEQUENCES = `select format('%I.%I', s.schemaname, s.sequencename) as name, coalesce(s.last_value, s.start_value)::text as value,
  s.last_value is not null as called from pg_catalog.pg_sequences s join pg_catalog.pg_namespace n on n.nspname = s.schemaname
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = s.sequencename
  where has_schema_privilege(n.oid, 'USAGE') and has_sequence_privilege(c.oid, 'UPDATE')
  and has_sequence_privilege(c.oid, 'USAGE, SELECT')`
/**
 * The counters of the transaction do not go back with a savepoint. Rows of the catalogs show what changes no row of a table, such as
 * TRUNCATE, and large objects.
 */
const WRITTEN = `select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::text as rows from pg_catalog.pg_stat_xact_all_tables`

interface Deferrable {
  readonly name: string
  readonly deferred: boolean
}

/** PostgreSQL under test. */
export class PostgresSandbox implements SandboxDialect {
  readonly hasSettings = true
  readonly enforcesReadOnly = true
  /** The constraints that may be checked at the end, by who asked. Empty before that, and after a change of the schema. */
  readonly #deferrable = new Map<string | undefined, readonly Deferrable[]>()

  forget(): void {
    this.#deferrable.clear()
  }

  readonly ahead = {
    sql: DEFERRABLE,
    answered: (rows: readonly unknown[]): void => void this.#deferrable.set(undefined, rows as Deferrable[]),
  }

  async checksLate(asker: Asker): Promise<boolean> {
    return (await this.#constraints(asker)).length > 0
  }

  async #constraints({ role, send }: Asker): Promise<readonly Deferrable[]> {
    const known = this.#deferrable.get(role)
    if (known !== undefined) return known
    const constraints = (await send(DEFERRABLE)).rows as Deferrable[]
    this.#deferrable.set(role, constraints)
    return constraints
  }

  async check(asker: Asker): Promise<void> {
    const constraints = await this.#constraints(asker)
    if (constraints.length === 0) return
    const immediate = constraints.filter(({ deferred }) => !deferred).map(({ name }) => name)
    await asker.sendAll([
      'set constraints all immediate',
      'set constraints all deferred',
      ...(immediate.length > 0 ? [`set constraints ${immediate.join(', ')} immediate`] : []),
    ])
  }

  readonly sequences = {
    async now(send: Send): Promise<Sequences> {
      return (await send(SEQUENCES)).rows as Sequences[number][]
    },

    async restore(send: Send, then: Sequences): Promise<void> {
      const now = new Map((await this.now(send)).map((sequence) => [sequence.name, sequence]))
      const moved = then.filter(({ name, value, called }) => {
        const present = now.get(name)
        return present !== undefined && (present.value !== value || present.called !== called)
      })
      if (moved.length === 0) return
      const calls = moved.map(
        (_, index) => `setval($${index * 3 + 1}::text::regclass, $${index * 3 + 2}, $${index * 3 + 3})`,
      )
      await send(
        `select ${calls.join(', ')}`,
        moved.flatMap(({ name, value, called }) => [name, value, called]),
      )
    },
  }

  readonly countWrites = async (send: Send): Promise<number> => {
    const [row] = (await send(WRITTEN)).rows as [{ readonly rows: string }]
    return Number(row.rows)
  }
}
