/**
 * The one root class of every error this library throws.
 *
 * `code` is a stable string (`SQLASSIST_...`) to decide by; `cause` is the error beneath, where there is one. A subclass
 * gives its name on the prototype and its code as a field:
 *
 * ```ts
 * export class ReadOnlySessionError extends SqlassistError {
 *   static {
 *     this.prototype.name = 'ReadOnlySessionError'
 *   }
 *   override readonly code = 'SQLASSIST_READ_ONLY_SESSION'
 * }
 * ```
 */
export class SqlassistError extends Error {
  static {
    // On the prototype, so that the first line of a stack and the printed object both show it without an own property.
    this.prototype.name = 'SqlassistError'
  }
  /** A stable string to decide by, `SQLASSIST_…`; docs/errors.md lists all of them. */
  readonly code: string = 'SQLASSIST_ERROR'
}
