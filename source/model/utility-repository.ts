import { EntityRepository, type Loaded, type Primary } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import {
  getByColumnExactThenIlike,
  getByColumnLower,
  getByColumnSimilar,
  type ManyByColumn,
  type OneByColumn,
  type SimilarOptions,
} from './get-by-column.ts'
import { getById, getByIds, type ByIdOptions } from './get-by-id.ts'
import { getRange, type RangeOptions } from './get-range.ts'
import type { IdColumn, IdIn, TextColumn } from './known-column.ts'

/**
 * The utility queries as a repository, for MikroORM's `repository` or `entityRepository` option. Each method calls the
 * function of its name, on the session that the repository came from.
 *
 * ```ts
 * class BookRepository extends UtilityRepository<Book> {}
 * ```
 *
 * After pyramid_sqlassist's `UtilityObject`.
 */
export class UtilityRepository<Entity extends object> extends EntityRepository<Entity> {
  override getEntityManager(): SqlEntityManager {
    return super.getEntityManager() as SqlEntityManager
  }

  /** As the function `getById`. */
  async getById(id: Primary<Entity>, options?: ByIdOptions<never>): Promise<Loaded<Entity> | null>
  async getById<Name extends IdColumn<Entity>>(
    id: IdIn<Entity, Name>,
    options: ByIdOptions<Name>,
  ): Promise<Loaded<Entity> | null>
  async getById(id: any, options?: ByIdOptions): Promise<Loaded<Entity> | null> {
    return await getById(this.getEntityManager(), this.entityName, id, options as ByIdOptions<never>)
  }

  /** As the function `getByIds`. */
  async getByIds(ids: readonly Primary<Entity>[], options?: ByIdOptions<never>): Promise<Loaded<Entity>[]>
  async getByIds<Name extends IdColumn<Entity>>(
    ids: readonly IdIn<Entity, Name>[],
    options: ByIdOptions<Name>,
  ): Promise<Loaded<Entity>[]>
  async getByIds(ids: readonly any[], options?: ByIdOptions): Promise<Loaded<Entity>[]> {
    return await getByIds(this.getEntityManager(), this.entityName, ids, options as ByIdOptions<never>)
  }

  /** As the function `getByColumnLower`. */
  async getByColumnLower(
    column: TextColumn<Entity>,
    search: string,
    options?: OneByColumn,
  ): Promise<Loaded<Entity> | null>
  async getByColumnLower(column: TextColumn<Entity>, search: string, options: ManyByColumn): Promise<Loaded<Entity>[]>
  async getByColumnLower(
    column: TextColumn<Entity>,
    search: string,
    options?: OneByColumn | ManyByColumn,
  ): Promise<Loaded<Entity>[] | Loaded<Entity> | null> {
    return await getByColumnLower(this.getEntityManager(), this.entityName, column, search, options as ManyByColumn)
  }

  /** As the function `getByColumnSimilar`. */
  async getByColumnSimilar(
    column: TextColumn<Entity>,
    seed: string,
    options?: SimilarOptions,
  ): Promise<Loaded<Entity>[]> {
    return await getByColumnSimilar(this.getEntityManager(), this.entityName, column, seed, options)
  }

  /** As the function `getByColumnExactThenIlike`. */
  async getByColumnExactThenIlike(column: TextColumn<Entity>, seed: string): Promise<Loaded<Entity> | null> {
    return await getByColumnExactThenIlike(this.getEntityManager(), this.entityName, column, seed)
  }

  /** As the function `getRange`. */
  async getRange(options?: RangeOptions<Entity>): Promise<Loaded<Entity>[]> {
    return await getRange(this.getEntityManager(), this.entityName, options)
  }
}
