/** An independent connection that sees what is really committed: plain pg or better-sqlite3, nothing of the library or of MikroORM. */
import Database from 'better-sqlite3'
import pg from 'pg'

export type Row = Record<string, unknown>

export interface SecondLook {
  /** `?` stands for a value on SQLite, `$1` on PostgreSQL. */
  rows(sql: string, ...values: unknown[]): Promise<Row[]>
  /** The first column of the first row; counts come back as numbers from both databases. */
  value(sql: string, ...values: unknown[]): Promise<unknown>
  close(): Promise<void>
}

/** `target` is a `postgres://` url or the path of a SQLite file. */
export async function secondLook(target: string): Promise<SecondLook> {
  return /^postgres(ql)?:\/\//.test(target) ? await postgresLook(target) : sqliteLook(target)
}

async function postgresLook(url: string): Promise<SecondLook> {
  const client = new pg.Client({ connectionString: url, application_name: 'second look' })
  await client.connect()
  return withValue({
    rows: async (sql, ...values) => (await client.query<Row>(sql, values)).rows,
    close: () => client.end(),
  })
}

function sqliteLook(path: string): SecondLook {
  const database = new Database(path, { fileMustExist: true, timeout: 0 })
  return withValue({
    async rows(sql, ...values) {
      const statement = database.prepare<unknown[], Row>(sql)
      if (statement.reader) return statement.all(...values)
      statement.run(...values)
      return []
    },
    close: async () => void database.close(),
  })
}

/** A look that finds its values by its rows. */
export function withValue(look: Omit<SecondLook, 'value'>): SecondLook {
  return {
    ...look,
    async value(sql, ...values) {
      const [row] = await look.rows(sql, ...values)
      const value = row && Object.values(row)[0]
      // count(*) is a bigint in PostgreSQL, which pg gives as text
      return typeof value === 'string' && /^-?\d{1,15}$/.test(value) ? Number(value) : value
    },
  }
}
