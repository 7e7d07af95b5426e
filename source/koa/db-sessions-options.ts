import type { Context } from 'koa'
import { ConfigurationError } from '../role/errors.ts'
import type { EngineRegistry } from '../registry/engine-registry.ts'
import type { Transaction, TransactionManager } from '../transaction/index.ts'
import { checkedPreference } from '../unit/any-preference.ts'
import { serverErrorVeto, type CommitVeto } from './commit-veto.ts'
import { carrierOf, type PositionCarrier, type ReadYourWrites } from './position-carrier.ts'

/** How `dbSessions` treats a request. */
export interface DbSessionsOptions<Property extends string = 'dbSession'> {
  /** Where the container stands on ctx. Default `'dbSession'`. */
  readonly property?: Property | undefined
  /** `false` leaves this request alone: no container, no transaction. Default: always on. */
  readonly activate?: ((ctx: Context) => boolean | Promise<boolean>) | undefined
  /** `true` aborts although nothing was thrown; `null` switches the veto off. Default {@link serverErrorVeto}. */
  readonly commitVeto?: CommitVeto | null | undefined
  /** The request's transaction manager. Default: a new explicit one. Not called while transactions are disabled. */
  readonly manager?: ((ctx: Context) => TransactionManager) | undefined
  /** Writes note and user of the transaction. Default: the note `METHOD /path`. */
  readonly annotate?: ((ctx: Context, txn: Transaction) => void | Promise<void>) | undefined
  /** Roles that `.any` tries, in order. Default `['reader', 'writer']`. */
  readonly anyPreference?: readonly string[] | undefined
  /**
   * How often to run a request at most, the first time included, when it ends in an error worth retrying. More than 1 needs
   * `downstream`, since Koa's `next()` runs once. Default 1.
   */
  readonly attempts?: number | undefined
  /** When the client goes away before the commit, running statements are cancelled and the transaction aborts. Default true. */
  readonly abortOnDisconnect?: boolean | undefined
  /**
   * How a client sees its own commits on replicas in its next request: `true`, by a cookie; `false`, not; or a carrier, such as
   * `positionHeader('x-position')`. Without a role that has `replicaOf` it does nothing. Default `true`.
   */
  readonly readYourWrites?: ReadYourWrites | undefined
  /** Plain commits, session by session. Default: the registry's option, that is the variable SQLASSIST_DISABLE_TRANSACTION. */
  readonly disableTransaction?: boolean | undefined
}

/** Options with every default filled in. */
export interface ResolvedDbSessionsOptions {
  readonly property: string
  readonly activate: ((ctx: Context) => boolean | Promise<boolean>) | undefined
  readonly commitVeto: CommitVeto | null
  readonly manager: ((ctx: Context) => TransactionManager) | undefined
  /** Undefined: the note `METHOD /path`. */
  readonly annotate: ((ctx: Context, txn: Transaction) => void | Promise<void>) | undefined
  readonly anyPreference: readonly string[]
  readonly attempts: number
  readonly abortOnDisconnect: boolean
  readonly carrier: PositionCarrier | undefined
  readonly disableTransaction: boolean
}

const OPTIONS =
  'property activate commitVeto manager annotate anyPreference attempts abortOnDisconnect readYourWrites disableTransaction'.split(
    ' ',
  )
/** Names that Koa or this library uses on ctx already. */
const TAKEN = new Set('tm txn app req res request response state respond cookies body status throw'.split(' '))

/** @throws ConfigurationError naming the option, what was found and the fix */
export function resolveDbSessionsOptions(
  options: DbSessionsOptions<string>,
  { names: roles, disablesTransactions }: Pick<EngineRegistry, 'names' | 'disablesTransactions'>,
  hasDownstream: boolean,
): ResolvedDbSessionsOptions {
  for (const name of Object.keys(options)) {
    if (OPTIONS.includes(name)) continue
    throw new ConfigurationError(
      `dbSessions has no option "${name}". The options are ${OPTIONS.join(', ')}; ` +
        `options of one role stand beside its orm: { writer: { orm, ${name}: ... } }.`,
    )
  }
  for (const name of ['activate', 'manager', 'annotate'] as const) mustBeFunction(name, options[name])
  if (options.commitVeto !== null) mustBeFunction('commitVeto', options.commitVeto)
  const property = options.property ?? 'dbSession'
  if (TAKEN.has(property)) {
    throw new ConfigurationError(`property: "${property}" is taken on Koa's ctx. Choose another name, or leave it out.`)
  }
  for (const name of ['disableTransaction', 'abortOnDisconnect'] as const) mustBeBoolean(name, options[name])
  return {
    property,
    activate: options.activate,
    commitVeto: options.commitVeto === undefined ? serverErrorVeto : options.commitVeto,
    manager: options.manager,
    annotate: options.annotate,
    anyPreference: checkedPreference(options.anyPreference, roles),
    attempts: checkedAttempts(options.attempts, hasDownstream),
    abortOnDisconnect: options.abortOnDisconnect ?? true,
    carrier: carrierOf(options.readYourWrites, property),
    disableTransaction: options.disableTransaction ?? disablesTransactions,
  }
}

function mustBeFunction(name: string, value: unknown): void {
  if (value === undefined || typeof value === 'function') return
  throw new ConfigurationError(`${name} is ${JSON.stringify(value)}, where a function of ctx belongs.`)
}

function mustBeBoolean(name: string, value: unknown): void {
  if (value === undefined || typeof value === 'boolean') return
  throw new ConfigurationError(`${name} is ${JSON.stringify(value)}. It can be true or false, or be left out.`)
}

function checkedAttempts(attempts = 1, hasDownstream: boolean): number {
  if (!Number.isInteger(attempts) || attempts < 1) {
    throw new ConfigurationError(`attempts is ${JSON.stringify(attempts)}. It can be a whole number from 1.`)
  }
  if (attempts > 1 && !hasDownstream) {
    throw new ConfigurationError(
      `attempts is ${attempts}, but Koa's next() runs only once. Give what is to be run again as third argument: ` +
        `dbSessions(engines, { attempts: ${attempts} }, router.routes()).`,
    )
  }
  return attempts
}
