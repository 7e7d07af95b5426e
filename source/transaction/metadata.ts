import { emitWarning } from 'node:process'
import { TransactionUsageError } from './errors.ts'

/** The user, the description and the extended info of a transaction. */
export class Metadata {
  #user = ''
  #description = ''
  #extension: Record<string, unknown> | null | undefined

  get user(): string {
    return this.#user
  }

  set user(user: string) {
    if ((user as string | null | undefined) == null) {
      throw new TransactionUsageError(
        'SQLASSIST_USER_NULL',
        `The user of a transaction must be text and was set to ${user}; to say that there is none set it to ''.`,
      )
    }
    this.#user = textOf(user)
  }

  get description(): string {
    return this.#description
  }

  set description(text: string | null) {
    if (text != null) this.#description = textOf(text)
  }

  note(text: string | null): void {
    if (text == null) return
    const stripped = textOf(text).trim()
    this.#description = this.#description === '' ? stripped : `${this.#description}\n${stripped}`
  }

  setUser(name: string, path: string): void {
    this.user = `${textOf(path)} ${textOf(name)}`
  }

  get extension(): Record<string, unknown> | null {
    if (this.#extension === undefined) this.#extension = {}
    return this.#extension
  }

  setExtendedInfo(name: string, value: unknown): void {
    this.#extension ??= {}
    this.#extension[name] = value
  }

  dropExtension(): void {
    this.#extension = null
  }
}

/** Converts a value that is no text, with a warning, as Zope does. */
function textOf(text: unknown): string {
  if (typeof text === 'string') return text
  emitWarning(`A transaction's user and description are text; got ${typeof text} ${String(text)}.`, {
    type: 'SqlassistWarning',
    code: 'SQLASSIST_TEXT_EXPECTED',
  })
  return String(text)
}
