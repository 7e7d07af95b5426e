import { AssertionError } from 'node:assert'
import { SqlassistError } from '../../source/index.ts'

/** What a program throws on purpose. */
export class Deliberate extends Error {
  override readonly name = 'Deliberate'
}

export function codeOf(error: unknown): string {
  const { code, name } = (error ?? {}) as { readonly code?: unknown; readonly name?: unknown }
  return String(code ?? name ?? error)
}

export function shown(error: unknown): string {
  return `${codeOf(error)}: ${String((error as Error | undefined)?.message ?? error)
    .split('\n')[0]!
    .slice(0, 160)}`
}

/** One that no program asked for: the library's, or MikroORM's, own mistake. */
export function isBlunder(error: unknown): boolean {
  return (
    error instanceof TypeError ||
    error instanceof RangeError ||
    error instanceof ReferenceError ||
    error instanceof AssertionError
  )
}

/** Whether the database, or the flush, said so; what the library refused was never sent. */
export function isFailure(error: unknown): boolean {
  return !(error instanceof SqlassistError) && !(error instanceof Deliberate)
}

/** That code in the error or in what caused it. */
export function hasCode(error: unknown, code: string): boolean {
  for (let each = error; each instanceof Error; each = each.cause) if (codeOf(each) === code) return true
  return false
}
