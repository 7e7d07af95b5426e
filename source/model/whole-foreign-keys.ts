import type { Configuration } from '@mikro-orm/core'
import type { AbstractSqlConnection, AbstractSqlPlatform, Transaction } from '@mikro-orm/sql'

type Asked = [connection: AbstractSqlConnection, tableName: string, schemaName?: string, ctx?: Transaction]

/** Methods of MikroORM's helper for SQLite that its types hide. */
interface SqliteHelper {
  getForeignKeys: (...asked: Asked) => Promise<Record<string, object>>
  getSchemaPrefix(schemaName?: string): string
  getColumnDefinitions(...asked: Asked): Promise<{ constraints?: string[] }>
}

/** A column of a foreign key, as SQLite lists it. */
interface Row {
  readonly id: number
  readonly seq: number
  readonly table: string
  readonly from: string
  readonly to: string
  readonly on_update: string
  readonly on_delete: string
}

/**
 * Lets the schema generator of an ORM on SQLite read a foreign key of several columns as one. MikroORM reads each column as a
 * separate key, and so finds a difference every time:
 * https://github.com/mikro-orm/mikro-orm/blob/v7.2.1/packages/sql/src/dialects/sqlite/SqliteSchemaHelper.ts
 */
export function readForeignKeysWhole(configuration: Configuration): void {
  const platform = configuration.getPlatform() as unknown as AbstractSqlPlatform
  const helper = platform.getSchemaHelper() as unknown as SqliteHelper | undefined
  if (helper === undefined || !('getColumnDefinitions' in helper)) return
  helper.getForeignKeys = async (connection, tableName, schemaName, ctx) => {
    const pragma = `pragma ${helper.getSchemaPrefix(schemaName)}foreign_key_list(\`${tableName}\`)`
    const rows = await connection.execute<Row[]>(pragma, [], 'all', ctx)
    const { constraints = [] } = await helper.getColumnDefinitions(connection, tableName, schemaName, ctx)
    // MikroORM split the definitions at every comma, even inside of one: joined, they are split anew.
    const definitions = constraints.join(', ').split(/(?:^|, )constraint /i)
    const keys = [...Map.groupBy(rows, ({ id }) => id).values()].map((columns) => {
      const key = keyOf(columns, schemaName === undefined ? tableName : `${schemaName}.${tableName}`)
      const constraintName = platform.getIndexName(tableName, key.columnNames, 'foreign')
      const definition = definitions.find((text) => text.includes(constraintName)) ?? ''
      return [constraintName, { ...key, constraintName, deferMode: deferModeIn(definition) }] as const
    })
    return Object.fromEntries(keys)
  }
}

function keyOf(columns: readonly Row[], localTableName: string) {
  const ordered = columns.toSorted((one, other) => one.seq - other.seq)
  const [first] = ordered
  return {
    columnNames: ordered.map(({ from }) => from),
    localTableName,
    referencedTableName: first?.table,
    referencedColumnNames: ordered.map(({ to }) => to),
    updateRule: first?.on_update.toLowerCase(),
    deleteRule: first?.on_delete.toLowerCase(),
  }
}

function deferModeIn(definition: string): string | undefined {
  return / deferrable initially (deferred|immediate)/i.exec(definition)?.[1]?.toLowerCase()
}
