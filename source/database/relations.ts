/** What is known of the relations that an ORM has entities for. */
export interface Relations {
  /** Plain tables: to read them runs no function. */
  readonly tables: ReadonlySet<string>
  /** Views, and tables with triggers. */
  readonly lively: readonly string[]
}
