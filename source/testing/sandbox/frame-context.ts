import type { SqlEntityManager } from '@mikro-orm/sql'
import type { Send } from './sandbox-dialect.ts'

/** The variables and the role that MikroORM sets in a transaction, for row level security. */
export interface FrameContext {
  readonly variables: Readonly<Record<string, string>>
  readonly role: string | undefined
}

export function contextOf(em: SqlEntityManager): FrameContext | undefined {
  const context = em.getSessionContext()
  if (context === undefined) return undefined
  const variables = Object.entries(context.variables ?? {}).map(([name, value]) => [name, settingOf(value)])
  return { variables: Object.fromEntries(variables) as Record<string, string>, role: context.role }
}

function settingOf(value: unknown): string {
  return value instanceof Date ? value.toISOString() : String(value)
}

/**
 * What RESET ALL would take away and the connection needs: settings that were made by SET, and the role. The server is not to end
 * the transaction of a test for its age, nor for what the test does meanwhile.
 */
const OWN_SETTINGS = `select name, case when name in ('idle_in_transaction_session_timeout', 'transaction_timeout')
  then set_config(name, '0', true) else setting end as setting from pg_catalog.pg_settings
  where source = 'session' or name in ('idle_in_transaction_session_timeout', 'transaction_timeout')
  union all select 'role', current_setting('role')`

/** Of those, what the transaction of each test sets anew. */
const OF_EACH_TEST = ['idle_in_transaction_session_timeout', 'transaction_timeout']

/** What is set on the connections of a database for all of a test, as by `onCreateConnection`. Asked by the first test. */
export interface OwnSettings {
  known: readonly (readonly [string, string])[] | undefined
  /** Whether it was warned of settings that frames share. */
  hasWarned: boolean
}

/** Which of the contexts is set on a connection that frames share. A savepoint does not end what SET LOCAL has set. */
export class SharedContext {
  #present: FrameContext | undefined
  #isKnown = true
  readonly #variables = new Set<string>()
  #hasRole = false
  readonly #own: OwnSettings

  constructor(own: OwnSettings) {
    this.#own = own
  }

  /** It may have been set back, with what was rolled back. */
  doubt(): void {
    this.#isKnown = this.#variables.size === 0 && !this.#hasRole
  }

  /** Sets what the transaction of a test needs, or returns what does. Keeps what is set, before a program sets something. */
  async begin(send: Send): Promise<string | undefined> {
    if (this.#own.known !== undefined) {
      const names = this.#own.known.map(([name]) => name).filter((name) => OF_EACH_TEST.includes(name))
      return `select ${names.map((name) => `set_config('${name}', '0', true)`).join(', ')}`
    }
    const { rows } = await send(OWN_SETTINGS)
    this.#own.known = (rows as { readonly name: string; readonly setting: string }[]).map(({ name, setting }) => [
      name,
      setting,
    ])
    return undefined
  }

  /** Takes away what the program has set for the rest of the transaction. */
  async reset(send: Send): Promise<void> {
    await send('reset all')
    await setAll(this.#own.known ?? [], send)
    this.#present = undefined
    this.#isKnown = true
  }

  async use(context: FrameContext | undefined, send: Send): Promise<void> {
    if (this.#isKnown && this.#present === context) return
    this.#isKnown = false
    if (this.#hasRole) await send('set local role none')
    const cleared = Array.from(this.#variables, (name) => [name, ''] as const)
    if (cleared.length > 0) await setAll(cleared, send)
    const set = Object.entries(context?.variables ?? {})
    for (const [name] of set) this.#variables.add(name)
    if (set.length > 0) await setAll(set, send)
    if (context?.role !== undefined) {
      this.#hasRole = true
      await send(`set local role "${context.role.replaceAll('"', '""')}"`)
    }
    this.#present = context
    this.#isKnown = true
  }
}

async function setAll(settings: readonly (readonly [string, string])[], send: Send): Promise<void> {
  const calls = settings.map((_, index) => `set_config($${index * 2 + 1}, $${index * 2 + 2}, true)`)
  await send(`select ${calls.join(', ')}`, settings.flat())
}
