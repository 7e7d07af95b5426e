import { inspect } from 'node:util'
import { compare } from 'uvu/diff'
import type { Failure } from './run-suite.ts'

/** A failure in full: title, message, difference, stack, causes. */
export function describeFailure(file: string, { title, error }: Failure): string {
  return [
    `FAIL ${file}${title && ` › ${title}`}`,
    indented(error.message),
    indented(difference(error)),
    indented(stackOf(error)),
    ...causesOf(error),
  ]
    .filter((part) => part.trim() !== '')
    .join('\n')
}

/** Some of uvu's assertions carry their difference, node:assert's carry the two values, the rest only what was found. */
function difference(error: Error): string {
  if (!('actual' in error)) return ''
  const { details, actual, expected, operator } = error as Error &
    Record<'details' | 'actual' | 'expected' | 'operator', unknown>
  if (typeof details === 'string') return details
  if (error.name === 'AssertionError' && !String(operator).includes('not')) return compare(actual, expected)
  return typeof actual === 'boolean' ? '' : `found: ${typeof actual === 'string' ? actual : inspect(actual)}`
}

function stackOf(error: Error): string {
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line))
  return frames.filter((line) => !/node:internal|[\\/]scripts[\\/]test[\\/]|node_modules[\\/]uvu/.test(line)).join('\n')
}

function causesOf(error: Error): string[] {
  const parts =
    error instanceof AggregateError ? error.errors.map((each: unknown) => indented(`one of: ${inspect(each)}`)) : []
  return error.cause === undefined ? parts : [...parts, indented(`cause: ${inspect(error.cause)}`)]
}

function indented(text: string): string {
  return text.replaceAll(/^(?=.)/gm, '    ')
}
