import { dropUnused, dropWithForce } from './drop-postgres.ts'
import type { PostgresAdmin } from './postgres-admin.ts'
import type { NamedDatabase, TemplateNames } from './template-names.ts'

/** How long a database counts as used after it was given out: a worker that got its url may not be connected yet. */
const TEST_KEPT_SECONDS = 60
/** The same of a template, so that going back and forth between two states of a schema builds each of them once. */
const TEMPLATE_KEPT_SECONDS = 3600

interface Found {
  readonly name: string
  readonly is: NamedDatabase
  readonly connected: boolean
  /** Seconds since it was given out. */
  readonly idle: number
}

/** Writes beside a database when it was given out, by the clock of the server. */
export async function noteGivenOut(admin: PostgresAdmin, database: string): Promise<void> {
  const [row] = await admin.rows(`select to_char(now() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as now`)
  await admin.send('comment on database %I is %L', database, `koa-sqlassist/testing, given out ${String(row?.['now'])}`)
}

/**
 * Drops what earlier runs left: the test databases of runs that are over, the templates of other keys that no run under way
 * was given and that nobody asked for in the last hour, and what was half built. A database that somebody is connected to
 * belongs to a run under way, and so do the others of that run.
 */
export async function dropLeftovers(
  admin: PostgresAdmin,
  { url, names, hash }: { url: string; names: TemplateNames; hash: string },
): Promise<void> {
  const found = await find(admin, names)
  const runs = found.flatMap(({ is, connected, idle }) =>
    is.kind === 'test' && (connected || idle < TEST_KEPT_SECONDS) ? [is] : [],
  )
  for (const { name, is, connected, idle } of found) {
    if (is.kind === 'test') {
      if (!runs.some(({ run }) => run === is.run)) await dropUnused(admin, url, name)
    } else if (is.hash === hash) continue
    else if (is.kind === 'building') await admin.lockedIfFree(name, () => dropWithForce(admin, url, name))
    else if (!connected && idle >= TEMPLATE_KEPT_SECONDS && !runs.some((run) => run.hash === is.hash)) {
      await dropUnused(admin, url, name)
    }
  }
}

/** All of ours that the user may drop. */
async function find(admin: PostgresAdmin, names: TemplateNames): Promise<Found[]> {
  const rows = await admin.rows(
    `select datname as name, pg_catalog.shobj_description(oid, 'pg_database') as comment, ` +
      `extract(epoch from now())::float8 as now, ` +
      `exists (select from pg_catalog.pg_stat_activity as activity ` +
      // It goes away when the database is dropped.
      `where activity.datid = listed.oid and backend_type <> 'autovacuum worker') as connected ` +
      `from pg_catalog.pg_database as listed ` +
      `where starts_with(datname, ?) and pg_catalog.pg_has_role(datdba, 'usage')`,
    names.prefix,
  )
  return rows.flatMap(({ name, comment, now, connected }) => {
    const is = names.parse(String(name))
    if (is === undefined) return []
    return [{ name: String(name), is, connected: connected === true, idle: Number(now) - givenOut(comment) }]
  })
}

/** In seconds; long ago where nobody wrote it down. */
function givenOut(comment: unknown): number {
  const [, time = ''] = / given out (\S+)$/.exec(String(comment)) ?? []
  return (Date.parse(time) || 0) / 1000
}
