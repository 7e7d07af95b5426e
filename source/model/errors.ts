import { SqlassistError } from '../transaction/index.ts'

/** Something was handed over that is no entity, or none that a row could be found for. */
export class NotAnEntityError extends SqlassistError {
  static {
    this.prototype.name = 'NotAnEntityError'
  }
  override readonly code = 'SQLASSIST_NOT_AN_ENTITY'
}
