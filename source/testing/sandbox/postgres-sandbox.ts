import type { SandboxDialect, Send, Sequences } from './sandbox-dialect.ts'

const DEFERRABLE = `select format('%I.%I', n.nspname, c.conname) as name, c.condeferred as deferred
  from pg_catalog.pg_constraint c join pg_catalog.pg_namespace n on n.oid = c.connamespace where c.condeferrable
  union all select format('%I.%I', n.nspname, t.tgname), t.tginitdeferred from pg_catalog.pg_trigger t
  join pg_catalog.pg_class r on r.oid = t.tgrelid join pg_catalog.pg_namespace n on n.oid = r.relnamespace
  where t.tgdeferrable and t.tgconstraint = 0`
const SEQUENCES = `select format('%I.%I', schemaname, sequencename) as name, coalesce(last_value, start_value)::text as value,
  last_value is not null as called from pg_catalog.pg_sequences
  where has_sequence_privilege(format('%I.%I', schemaname, sequencename), 'UPDATE')`
/** The counters of the transaction do not go back with a savepoint. */
const WRITTEN = `select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::text as rows from pg_catalog.pg_stat_xact_all_tables
  where schemaname not in ('pg_catalog', 'pg_toast', 'information_schema')`

interface Deferrable {
  readonly name: string
  readonly deferred: boolean
}

/** PostgreSQL under test. */
export class PostgresSandbox implements SandboxDialect {
  readonly hasSettings = true
  readonly enforcesReadOnly = true
  /** The constraints that may be checked at the end; undefined before that was asked, and after a change of the schema. */
  #deferrable: readonly Deferrable[] | undefined

  forget(): void {
    this.#deferrable = undefined
  }

  async check(send: Send): Promise<void> {
    this.#deferrable ??= (await send(DEFERRABLE)).rows as Deferrable[]
    if (this.#deferrable.length === 0) return
    await send('set constraints all immediate')
    const deferred = this.#deferrable.filter((constraint) => constraint.deferred).map(({ name }) => name)
    if (deferred.length > 0) await send(`set constraints ${deferred.join(', ')} deferred`)
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
