import { ConfigurationError } from '../../role/errors.ts'
import { assertKnownOptions } from '../../role/known-options.ts'
import { assertNotInProduction } from '../templates/not-in-production.ts'

export const READ_AHEAD = ['warn', 'error', 'allow'] as const
export const ESCAPES = ['refuse', 'allow'] as const
export const SEQUENCES = ['continue', 'restore'] as const

/** Options of {@link createSandbox}. */
export interface SandboxOptions {
  /** How many milliseconds a request waits for another one of the same test, and `rollback()` for what is open. Default 2000. */
  readonly waitMs?: number | undefined
  /**
   * What happens where a read-only role reads what the same request has written and not committed, which it would not see in
   * production: `'warn'` (the default) warns once for each place in the code (`SQLASSIST_SANDBOX_READ_AHEAD`), `'error'` throws.
   */
  readonly readAhead?: (typeof READ_AHEAD)[number] | undefined
  /**
   * What happens where an ORM is used outside of any request or run: `'refuse'` (the default) is a SandboxEscapeError;
   * `'allow'` lets it past the sandbox, where it commits. On SQLite there is no connection beside the sandbox, and it is refused.
   */
  readonly escapes?: (typeof ESCAPES)[number] | undefined
  /** Whether `rollback()` sets PostgreSQL's sequences back, so that ids are the same in every test. Default `'continue'`. */
  readonly sequences?: (typeof SEQUENCES)[number] | undefined
}

/** Options with every default filled in. */
export interface ResolvedSandboxOptions {
  readonly waitMs: number
  readonly readAhead: (typeof READ_AHEAD)[number]
  readonly escapes: (typeof ESCAPES)[number]
  readonly sequences: (typeof SEQUENCES)[number]
}

const OPTIONS = ['waitMs', 'readAhead', 'escapes', 'sequences']
/** The longest delay of a timer, in milliseconds. */
const LONGEST_MS = 2 ** 31 - 1

/** @throws ConfigurationError naming the option, what was found and the fix */
export function resolveSandboxOptions(options: SandboxOptions): ResolvedSandboxOptions {
  assertKnownOptions('createSandbox', options, OPTIONS)
  assertNotInProduction('createSandbox()')
  const { waitMs = 2000 } = options
  if (!Number.isInteger(waitMs) || waitMs < 0 || waitMs > LONGEST_MS)
    throw new ConfigurationError(`waitMs is ${String(waitMs)}. It can be a whole number of milliseconds, such as 2000.`)
  return {
    waitMs,
    readAhead: oneOf('readAhead', options.readAhead ?? 'warn', READ_AHEAD),
    escapes: oneOf('escapes', options.escapes ?? 'refuse', ESCAPES),
    sequences: oneOf('sequences', options.sequences ?? 'continue', SEQUENCES),
  }
}

/** @throws ConfigurationError */
export function oneOf<T extends string>(name: string, value: unknown, values: readonly T[]): T {
  const known = values.find((each) => each === value)
  if (known !== undefined) return known
  throw new ConfigurationError(
    `${name} is ${JSON.stringify(value)}. It can be ${values.map((each) => `"${each}"`).join(' or ')}.`,
  )
}
