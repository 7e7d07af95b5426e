import { ConfigurationError } from '../role/errors.ts'

const VARIABLE = 'SQLASSIST_DISABLE_TRANSACTION'
const ON = ['1', 'true', 'yes', 'on']
const OFF = ['0', 'false', 'no', 'off', '']

/**
 * Whether the environment disables transactions: `1 true yes on`, or `0 false no off`, empty and unset, in any case.
 * @throws ConfigurationError for anything else
 */
export function transactionsDisabledByEnvironment(environment: NodeJS.ProcessEnv = process.env): boolean {
  const found = environment[VARIABLE] ?? ''
  const value = found.trim().toLowerCase()
  if (ON.includes(value)) return true
  if (OFF.includes(value)) return false
  throw new ConfigurationError(
    `${VARIABLE} is ${JSON.stringify(found)}, which is neither on (${ON.join(' ')}) nor off (${OFF.join(' ').trim()}, empty). ` +
      `Set it to one of these or unset it.`,
  )
}
