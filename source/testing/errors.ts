import { SqlassistError } from '../transaction/index.ts'

/**
 * The template of the test databases could not be built, or is not there any more. The message says why, and what to change.
 */
export class TemplateError extends SqlassistError {
  static {
    this.prototype.name = 'TemplateError'
  }
  override readonly code = 'SQLASSIST_TEMPLATE'
}
