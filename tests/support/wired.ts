import type pg from 'pg'
import { newDatabase, openOrm, poolOf, type OrmOptions, type TestOrm } from './orms.ts'
import { secondLook, type SecondLook } from './second-look.ts'
import { openWire, type Wire } from './wire.ts'

/** A PostgreSQL database behind a wire. */
export interface Wired {
  /** The url of the database itself. */
  readonly target: string
  readonly wire: Wire
  /** Goes through the wire. */
  readonly orm: TestOrm
  readonly pool: pg.Pool
  /** Goes past the wire. */
  readonly look: SecondLook
  close(): Promise<void>
}

/** A new one. */
export async function openWired(options: OrmOptions = {}): Promise<Wired> {
  const target = await newDatabase('postgresql')
  const wire = await openWire(target)
  const orm = await openOrm(target, { ...options, via: wire.url })
  const look = await secondLook(target)
  return {
    target,
    wire,
    orm,
    pool: await poolOf(orm),
    look,
    async close() {
      await look.close()
      await orm.close()
      await wire.close()
    },
  }
}

/** One whose inserts of authors wait while somebody holds an advisory lock. */
export interface Gated extends Wired {
  /** For holding advisory lock 1, exclusively; it is let go by `pg_advisory_unlock_all()`. */
  readonly gate: SecondLook
}

export async function openGated(options: OrmOptions = {}): Promise<Gated> {
  const wired = await openWired(options)
  const gate = await secondLook(wired.target)
  await wired.look.rows(`create function slow() returns trigger language plpgsql as
    $$ begin perform pg_advisory_xact_lock_shared(1); return new; end $$`)
  await wired.look.rows('create trigger slow before insert on author for each row execute function slow()')
  return {
    ...wired,
    gate,
    async close() {
      await gate.close()
      await wired.close()
    },
  }
}
