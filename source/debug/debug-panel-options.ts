import { BlockList, isIP } from 'node:net'
import { ConfigurationError } from '../role/errors.ts'

/** Options of the debug panel: what it keeps, and who may see it. */
export interface DebugPanelOptions {
  /** Where the panel stands: `/` and a name, or several. Default `'/_sqlassist'`. */
  readonly path?: string | undefined
  /** How many requests and runs are kept, the latest ones, from 1 to 10000. Default 100. */
  readonly keep?: number | undefined
  /**
   * Keeps the values of statements out of the records: parameters and literals become `?`; messages of errors and query
   * strings of requests, which may hold such values, are left out. Default `false`.
   */
  readonly hideParameters?: boolean | undefined
  /** Lets the panel be mounted where NODE_ENV is `production`. Default `false`. */
  readonly allowInProduction?: boolean | undefined
  /** Host names under which the panel answers, beyond `localhost`, `*.localhost` and loopback addresses. Default none. */
  readonly allowHosts?: readonly string[] | undefined
  /**
   * Addresses that may look at the panel, beyond this machine's own: single ones or networks, such as `172.17.0.0/16` for a
   * browser outside of a container. Default none.
   */
  readonly allowAddresses?: readonly string[] | undefined
  /** How many characters of a statement are kept, from 100 to 100000. Default 2000. */
  readonly statementLength?: number | undefined
  /** How many statements of a request are kept, and as many steps of its transactions, from 1 to 10000. Default 500. */
  readonly statements?: number | undefined
}

/** Options that bound the memory of records, and keep values out of them. */
export interface DebugPanelLimits {
  readonly keep: number
  readonly hideParameters: boolean
  readonly statementLength: number
  readonly statements: number
}

/** Options with every default filled in. */
export interface ResolvedDebugPanelOptions extends DebugPanelLimits {
  readonly path: string
  /** In lower case. */
  readonly allowHosts: ReadonlySet<string>
  readonly allowAddresses: BlockList
}

const OPTIONS = 'path keep hideParameters allowInProduction allowHosts allowAddresses statementLength statements'.split(
  ' ',
)
const PATH = /^(?:\/[\w.~-]+)+$/
const HOST = /^[\w.-]+$/

/** @throws ConfigurationError naming the option, what was found and the fix */
export function resolveDebugPanelOptions(
  options: DebugPanelOptions,
  nodeEnv: string | undefined,
): ResolvedDebugPanelOptions {
  const unknown = Object.keys(options).find((name) => !OPTIONS.includes(name))
  if (unknown !== undefined) {
    throw new ConfigurationError(`debugPanel has no option "${unknown}". The options are ${OPTIONS.join(', ')}.`)
  }
  const { path = '/_sqlassist', allowHosts = [], allowAddresses = [] } = options
  refuseInProduction(options, nodeEnv)
  if (typeof path !== 'string' || !PATH.test(path)) {
    throw new ConfigurationError(
      `path is ${JSON.stringify(path)}. It can be "/" and a name of letters, digits and "_.~-", such as "/_sqlassist".`,
    )
  }
  return {
    path,
    keep: wholeNumber('keep', options.keep ?? 100, 1, 10_000),
    hideParameters: trueOrFalse('hideParameters', options.hideParameters ?? false),
    statementLength: wholeNumber('statementLength', options.statementLength ?? 2000, 100, 100_000),
    statements: wholeNumber('statements', options.statements ?? 500, 1, 10_000),
    allowHosts: hostNames(allowHosts),
    allowAddresses: addresses(allowAddresses),
  }
}

function refuseInProduction({ allowInProduction = false }: DebugPanelOptions, nodeEnv: string | undefined): void {
  if (trueOrFalse('allowInProduction', allowInProduction) || nodeEnv !== 'production') return
  throw new ConfigurationError(
    'debugPanel shows statements and errors, and NODE_ENV is "production". Mount it in development only: ' +
      `if (process.env.NODE_ENV !== 'production') app.use(debugPanel(registry)), or say { allowInProduction: true }.`,
  )
}

function wholeNumber(name: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw new ConfigurationError(`${name} is ${shown(value)}. It can be a whole number from ${least} to ${most}.`)
}

function trueOrFalse(name: string, value: boolean): boolean {
  if (typeof value === 'boolean') return value
  throw new ConfigurationError(`${name} is ${shown(value)}. It can be true or false.`)
}

function hostNames(names: readonly string[]): Set<string> {
  const list = stringList('allowHosts', names)
  const wrong = list.find((name) => !HOST.test(name) && isIP(name) === 0)
  if (wrong === undefined) return new Set(list.map((name) => name.toLowerCase()))
  throw new ConfigurationError(
    `allowHosts has ${JSON.stringify(wrong)}. Give host names as a browser has them in its address bar, without scheme and ` +
      'port, such as "app.test".',
  )
}

function addresses(given: readonly string[]): BlockList {
  const list = new BlockList()
  for (const entry of stringList('allowAddresses', given)) {
    const [address = '', prefix, ...more] = entry.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    const bits = family === 'ipv6' ? 128 : 32
    const isPrefix = prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits)
    if (isIP(address) === 0 || !isPrefix || more.length > 0) {
      throw new ConfigurationError(
        `allowAddresses has ${JSON.stringify(entry)}. Give an address or a network, such as "172.17.0.1" or "172.17.0.0/16".`,
      )
    }
    list.addSubnet(address, prefix === undefined ? bits : Number(prefix), family)
  }
  return list
}

function stringList(name: string, value: readonly string[]): readonly string[] {
  if (Array.isArray(value) && value.every((entry) => typeof entry === 'string')) return value
  throw new ConfigurationError(`${name} is ${shown(value)}. It can be a list of strings.`)
}

function shown(value: unknown): string {
  return typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? String(value))
}
