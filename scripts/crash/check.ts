/** What must be true when everything rests: asked by plain pg and better-sqlite3, past the proxies and the library. */
import { setTimeout as pause } from 'node:timers/promises'
import Database from 'better-sqlite3'
import pg from 'pg'
import { SERVERS, type Bank } from './bank.ts'
import { ACCOUNTS, FIRST_BALANCE } from './entities.ts'
import { ROLES, rolesOf, type Ending, type Role } from './messages.ts'

interface Books {
  readonly total: number
  readonly transfers: ReadonlyMap<string, number>
}

const TOTAL = 'select sum(balance) as total from account'
const TRANSFERS = 'select transfer, amount from ledger'
const IN_TRANSACTION = `select pid, application_name, state, wait_event, query from pg_stat_activity
  where backend_type = 'client backend' and pid <> pg_backend_pid() and (state <> 'idle' or xact_start is not null)`
const LOCKS = `select l.pid, l.locktype, l.relation::regclass::text as relation, l.mode from pg_locks l
  left join pg_stat_activity a on a.pid = l.pid
  where (a.pid is null or a.backend_type = 'client backend') and l.pid is distinct from pg_backend_pid()
  and (l.locktype in ('tuple', 'transactionid', 'advisory') or (l.locktype = 'relation' and l.relation >= 16384))`
const QUIET_WITHIN_MS = 10_000
const LOOK_EVERY_MS = 5

/** Waits for the backends of clients that are gone to notice. Says which did not. */
export async function quiet(bank: Bank): Promise<string[]> {
  const busy: string[] = []
  for (const name of SERVERS) {
    await withClient(bank, name, async (client) => {
      const deadline = performance.now() + QUIET_WITHIN_MS
      for (;;) {
        const { rows } = await client.query(IN_TRANSACTION)
        if (rows.length === 0) return
        if (performance.now() > deadline) {
          busy.push(...rows.map((row) => `a backend of ${name} is in a transaction: ${JSON.stringify(row)}`))
          return
        }
        await pause(LOOK_EVERY_MS)
      }
    })
  }
  return busy
}

/** The global ids that are prepared anywhere. */
export async function prepared(bank: Bank): Promise<string[]> {
  const ids: string[] = []
  for (const name of SERVERS) {
    await withClient(bank, name, async (client) => {
      const { rows } = await client.query<{ gid: string }>('select gid from pg_prepared_xacts')
      ids.push(...rows.map(({ gid }) => `${name}: ${gid}`))
    })
  }
  return ids
}

/** Locks that nobody should hold any more. */
export async function locks(bank: Bank): Promise<string[]> {
  const found: string[] = []
  for (const name of SERVERS) {
    await withClient(bank, name, async (client) => {
      const { rows } = await client.query(LOCKS)
      found.push(...rows.map((row) => `${name} has a lock: ${JSON.stringify(row)}`))
    })
  }
  const file = new Database(bank.book, { timeout: 0 })
  try {
    file.exec('begin immediate; rollback')
  } catch (error) {
    found.push(`book has a lock: ${String(error)}`)
  }
  file.close()
  return found
}

/** Decisions to commit that nothing can refer to any more, once recovery had its time. */
export async function remembered(bank: Bank): Promise<string[]> {
  const commits = `select count(*) as count from sqlassist_decision where decision = 'commit' and id <> 'database'`
  const counts: Record<string, number> = {}
  for (const name of SERVERS) {
    await withClient(bank, name, async (client) => {
      const { rows } = await client.query(`select from pg_class where relname = 'sqlassist_decision'`)
      if (rows.length > 0) counts[name] = Number((await client.query<{ count: string }>(commits)).rows[0]?.count)
    })
  }
  const file = new Database(bank.book)
  const table = file.prepare(`select name from sqlite_master where name = 'sqlassist_decision'`).get()
  if (table !== undefined) counts['book'] = (file.prepare(commits).get() as { count: number }).count
  file.close()
  return Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${name} still remembers ${count} decisions`)
}

/** The money and the transfers; one line for each thing that is wrong. */
export async function judge(bank: Bank, endings: ReadonlyMap<string, Ending>): Promise<string[]> {
  const books: Record<Role, Books> = {
    left: await postgresBooks(bank, 'left'),
    right: await postgresBooks(bank, 'right'),
    book: sqliteBooks(bank.book),
  }
  const wrong: string[] = []
  const sum = (numbers: Iterable<number>): number => [...numbers].reduce((total, number) => total + number, 0)
  for (const role of ROLES) {
    const due = ACCOUNTS * FIRST_BALANCE + sum(books[role].transfers.values())
    if (books[role].total !== due)
      wrong.push(`${role}: the accounts have ${books[role].total}, their ledger says ${due}`)
  }
  const total = sum(ROLES.map((role) => books[role].total))
  const due = ROLES.length * ACCOUNTS * FIRST_BALANCE
  if (total !== due) wrong.push(`the total is ${total} and was ${due}`)
  const found = new Set(ROLES.flatMap((role) => [...books[role].transfers.keys()]))
  for (const [transfer, ending] of endings) {
    if (ending === 'acknowledged' && !found.has(transfer)) wrong.push(`${transfer} was acknowledged and is nowhere`)
  }
  for (const transfer of found) {
    const missing = rolesOf(transfer).filter((role) => !books[role].transfers.has(transfer))
    const ending = endings.get(transfer) ?? 'untold'
    if (missing.length > 0) wrong.push(`${transfer} (${ending}) is missing in ${missing.join(' and ')}`)
    else if (ending === 'failed') wrong.push(`${transfer} failed, as was said, and is there`)
  }
  return wrong
}

async function postgresBooks(bank: Bank, name: 'left' | 'right'): Promise<Books> {
  return await withClient(bank, name, async (client) => ({
    total: Number((await client.query<{ total: string }>(TOTAL)).rows[0]?.total),
    transfers: transfersOf((await client.query<{ transfer: string; amount: number }>(TRANSFERS)).rows),
  }))
}

function sqliteBooks(path: string): Books {
  const file = new Database(path)
  const { total } = file.prepare(TOTAL).get() as { total: number }
  const transfers = transfersOf(file.prepare(TRANSFERS).all() as { transfer: string; amount: number }[])
  file.close()
  return { total, transfers }
}

function transfersOf(rows: readonly { transfer: string; amount: number }[]): Map<string, number> {
  return new Map(rows.map(({ transfer, amount }) => [transfer, amount]))
}

async function withClient<T>(bank: Bank, name: 'left' | 'right', work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: bank.servers[name].url(), application_name: 'checker' })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
