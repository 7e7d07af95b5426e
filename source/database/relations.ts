/** What is known of the relations that an ORM has entities for. */
export interface Relations {
  /** Plain tables: to read them runs no function. */
  readonly tables: ReadonlySet<string>
  /** Views, which run functions when they are read, unless they are materialized. */
  readonly views: readonly string[]
  /** These, and tables with triggers. */
  readonly lively: readonly string[]
}
