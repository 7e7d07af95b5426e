/** How the database transaction of a session begins. */
export interface BeginOptions {
  readonly isolationLevel?: string | undefined
  readonly readOnly?: boolean | undefined
}
