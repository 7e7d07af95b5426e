import type { SqlEntityManager } from '@mikro-orm/sql'
import { allColumns, loadColumns, loadedColumns } from './entity-columns.ts'
import { requestOf, sessionOf } from './session-of.ts'

/** Keeps a property out of create(), where and DTOs: MikroORM's types take every property but functions for a column. */
type NoColumn<Value> = Value & CallableFunction

/**
 * The base entity of a model that wants to know its columns, its session and its request.
 *
 * ```ts
 * const Book = defineEntity({ name: 'Book', extends: DeclaredTable, properties: { id: p.integer().primary() } })
 * class Author extends DeclaredTable { id!: number }
 * ```
 *
 * DeclaredTable has no column, serialises nothing and keeps no state; a model cannot have columns named `session` and
 * `request`. A column has the name of its property. A reference stands for the primary key in its column; the parts of an
 * embedded object are columns of their own (`address_city`). Hidden columns are columns.
 *
 * After the declared base of pyramid_sqlassist's models.
 */
export abstract class DeclaredTable {
  /** The session that manages this entity (`sessionOf`); undefined if none does. Asked anew each time: it may change. */
  get session(): NoColumn<SqlEntityManager> | undefined {
    return sessionOf(this) as NoColumn<SqlEntityManager> | undefined
  }

  /** The Koa `ctx` of the request that this entity belongs to (`requestOf`); undefined outside of one. */
  get request(): NoColumn<Record<string, any>> | undefined {
    return requestOf(this) as NoColumn<Record<string, any>> | undefined
  }

  /**
   * Every column with its value. Loads missing columns in one statement; changes are neither flushed nor lost. A column is
   * undefined if it cannot be loaded, because no session manages the entity or its row is gone.
   */
  async columnsAsDict(): Promise<Record<string, unknown>> {
    await loadColumns(this)
    return allColumns(this)
  }

  /** The columns that are loaded, with their values. Sends nothing, loads nothing. */
  loadedColumnsAsDict(): Record<string, unknown> {
    return Object.fromEntries(loadedColumns(this))
  }

  /** The names of the columns that are loaded, or with `withValues` pairs of name and value. Sends nothing, loads nothing. */
  loadedColumnsAsList(options?: { withValues?: false }): string[]
  loadedColumnsAsList(options: { withValues: true }): [name: string, value: unknown][]
  loadedColumnsAsList({ withValues = false }: { withValues?: boolean } = {}): (string | [string, unknown])[] {
    return loadedColumns(this).map(([name, value]) => (withValues ? [name, value] : name))
  }
}
