import { ATOMIC, type Atomic } from '../atomic/commit-planner.ts'
import type { ContainerClass } from '../unit/db-sessions-container.ts'
import { ConfigurationError } from '../role/errors.ts'
import { assertKnownOptions } from '../role/known-options.ts'
import { LONGEST_APPLICATION } from '../atomic/global-id.ts'
import { DEFAULT_EVERY_MS, DEFAULT_GRACE_MS, type RecoverOptions } from '../atomic/recovery-schedule.ts'

/** How an `EngineRegistry` treats its roles as a whole. */
export interface EngineRegistryOptions<Sessions extends object = any> {
  /** Plain commits, session by session, in `run()`. Default: the environment variable SQLASSIST_DISABLE_TRANSACTION. */
  readonly disableTransaction?: boolean | undefined
  /**
   * What becomes of a commit that changed several databases of which more than one cannot prepare its transaction:
   * `'prefer'` warns, once for each set of roles, and commits them one after the other; `'required'` throws NotAtomicError
   * before anything is committed. Default `'prefer'`.
   */
  readonly atomic?: Atomic | undefined
  /**
   * When what a crash left prepared is settled automatically: at the start and then periodically, if two roles or more can
   * change together and one of them can prepare. `false`: only by `registry.recover()`. Default: every 60000 ms, what is older
   * than 10000 ms.
   */
  readonly recover?: RecoverOptions | false | undefined
  /**
   * The application's name in the ids of prepared transactions, the same in all processes that are to settle each other's:
   * up to 32 of the characters `A-Z a-z 0-9 _ . -`. Default `'app'`.
   */
  readonly name?: string | undefined
  /**
   * How long `registry.close()` waits for what is under way or open before it closes the connections all the same, and throws
   * RegistryCloseTimeoutError. Default 30000.
   */
  readonly closeTimeoutMs?: number | undefined
  /**
   * How many processes run the application, each with pools of its own. A server that allows fewer connections than all of them
   * may open is warned of at the start; up to 20 in all it is not asked. Default 1.
   */
  readonly processes?: number | undefined
  /** The class of `ctx.dbSession`, one that extends `DbSessionsContainer`. Default: `DbSessionsContainer` itself. */
  readonly containerClass?: ContainerClass<Sessions> | undefined
}

/** The options of a registry with the defaults filled in. */
export interface ResolvedRegistryOptions {
  readonly disableTransaction: boolean | undefined
  readonly atomic: Atomic
  /** Undefined where recovery does not run automatically. */
  readonly everyMs: number | undefined
  readonly graceMs: number
  readonly name: string
  readonly closeTimeoutMs: number
  readonly processes: number
  readonly containerClass: ContainerClass | undefined
}

const OPTIONS = ['disableTransaction', 'atomic', 'recover', 'name', 'closeTimeoutMs', 'processes', 'containerClass']
const NAME = new RegExp(`^[\\w.-]{1,${LONGEST_APPLICATION}}$`)
const DEFAULT_CLOSE_TIMEOUT_MS = 30_000
/** The longest wait of a timer of Node. */
const LONGEST_MS = 2 ** 31 - 1

/** @throws ConfigurationError naming the option, what was found and the fix */
export function resolveRegistryOptions(options: EngineRegistryOptions): ResolvedRegistryOptions {
  assertKnownOptions('EngineRegistry', options, OPTIONS)
  const {
    disableTransaction,
    atomic = 'prefer',
    recover,
    name = 'app',
    closeTimeoutMs: close,
    processes = 1,
    containerClass,
  } = options
  if (disableTransaction !== undefined && typeof disableTransaction !== 'boolean') {
    throw new ConfigurationError(
      `disableTransaction is ${JSON.stringify(disableTransaction)}. It can be true or false.`,
    )
  }
  if (!ATOMIC.includes(atomic)) {
    throw new ConfigurationError(`atomic is ${JSON.stringify(atomic)}. It can be 'prefer' or 'required'.`)
  }
  if (typeof name !== 'string' || !NAME.test(name)) {
    throw new ConfigurationError(
      `name is ${JSON.stringify(name)}. It can be up to ${LONGEST_APPLICATION} letters, digits, "_", "." and "-".`,
    )
  }
  if (!Number.isInteger(processes) || processes < 1) {
    throw new ConfigurationError(`processes is ${String(processes)}. It can be a whole number from 1.`)
  }
  const closeTimeoutMs = resolveMs('closeTimeoutMs', close ?? DEFAULT_CLOSE_TIMEOUT_MS, 0)
  const recovery = recover === false ? { everyMs: undefined, graceMs: DEFAULT_GRACE_MS } : resolveRecover(recover)
  return { disableTransaction, atomic, ...recovery, name, closeTimeoutMs, processes, containerClass }
}

function resolveRecover(recover: RecoverOptions = {}): { everyMs: number; graceMs: number } {
  const unknown = typeof recover === 'object' ? Object.keys(recover).find((key) => !/^(every|grace)Ms$/.test(key)) : ''
  if (unknown !== undefined) {
    throw new ConfigurationError(
      `recover is ${JSON.stringify(recover)}. It can be false or { everyMs, graceMs }, in milliseconds.`,
    )
  }
  return {
    everyMs: resolveMs('recover.everyMs', recover.everyMs ?? DEFAULT_EVERY_MS, 1),
    graceMs: resolveGraceMs(recover.graceMs ?? DEFAULT_GRACE_MS, 'recover.graceMs'),
  }
}

/** What is given to `registry.recover()`. @throws ConfigurationError */
export function resolveGraceOfOneRun(options: { readonly graceMs?: number | undefined }): number | undefined {
  assertKnownOptions('recover()', options, ['graceMs'])
  return options.graceMs === undefined ? undefined : resolveGraceMs(options.graceMs, 'graceMs')
}

function resolveGraceMs(graceMs: number, name: string): number {
  return resolveMs(name, graceMs, 0)
}

function resolveMs(name: string, value: number, least: number): number {
  if (Number.isFinite(value) && value >= least && value <= LONGEST_MS) return value
  throw new ConfigurationError(
    `${name} is ${String(value)}. It can be a number of milliseconds from ${least} to ${LONGEST_MS}.`,
  )
}
