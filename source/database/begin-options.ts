/** How the database transaction of a session begins. */
export interface BeginOptions {
  readonly isolationLevel?: string | undefined
  readonly readOnly?: boolean | undefined
  /** Whether it is not to go to a replica, though it only reads. */
  readonly onPrimary?: boolean | undefined
}

/** Which of an ORM's connections such a transaction runs on. */
export function connectionFor({ readOnly, onPrimary }: BeginOptions): 'read' | 'write' {
  return readOnly === true && onPrimary !== true ? 'read' : 'write'
}
