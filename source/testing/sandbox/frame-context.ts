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

/** Which of the contexts is set on a connection that frames share. A savepoint does not end what SET LOCAL has set. */
export class SharedContext {
  #present: FrameContext | undefined
  #isKnown = true
  readonly #variables = new Set<string>()
  #hasRole = false

  /** It may have been set back, with what was rolled back. */
  doubt(): void {
    this.#isKnown = this.#variables.size === 0 && !this.#hasRole
  }

  /** Takes away what the program has set for the rest of the transaction. */
  async reset(send: Send): Promise<void> {
    await send('reset all')
    await send('set local role none')
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
