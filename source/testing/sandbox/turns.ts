import type { ConnectionUser } from '../../database/connection-waits.ts'
import { SandboxBusyError } from './errors.ts'

/** What has a turn: a request or run with everything inside of it, or something outside of any. */
type Root = object

interface Waiting {
  readonly root: Root
  readonly go: () => void
}

/**
 * Who has the one transaction of a database under test. The outermost unit of work has it from its first database transaction
 * to the end of its last one; units inside of it share its turn, and others wait.
 */
export class Turns {
  readonly #waitMs: number
  #root: Root | undefined
  #name = ''
  #since = 0
  /** How many database transactions the root has open. */
  #count = 0
  readonly #waiting: Waiting[] = []
  /** The last statement that was sent in this turn. */
  lastStatement: string | undefined
  /** How often somebody has waited. */
  waits = 0

  constructor(waitMs: number) {
    this.#waitMs = waitMs
  }

  /** Takes part in the turn of `user`, which each call owes a `leave`. @throws SandboxBusyError */
  enter(user: ConnectionUser | undefined, role: string): Promise<void> | undefined {
    const root = rootOf(user) ?? {}
    if (this.#root !== undefined && this.#root !== root) {
      this.waits++
      return this.#wait(root, user, role)
    }
    this.#take(root, user, role)
    return undefined
  }

  #take(root: Root, user: ConnectionUser | undefined, role: string): void {
    if (this.#root !== root) {
      this.#name = nameOf(user, role)
      this.#since = performance.now()
      this.lastStatement = undefined
    }
    this.#root = root
    this.#count++
  }

  #wait(root: Root, user: ConnectionUser | undefined, role: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiting: Waiting = {
      root,
      go: () => {
        clearTimeout(timer)
        this.#take(root, user, role)
        resolve()
      },
    }
    const timer = setTimeout(() => {
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1)
      const heldMs = Math.round(performance.now() - this.#since)
      const details = { waitMs: this.#waitMs, heldMs, sql: this.lastStatement }
      reject(new SandboxBusyError(nameOf(user, role), this.#name, details))
    }, this.#waitMs)
    this.#waiting.push(waiting)
    return promise
  }

  leave(): void {
    if (--this.#count > 0) return
    this.#root = undefined
    const next = this.#waiting[0]
    if (next === undefined) return
    const together = this.#waiting.filter(({ root }) => root === next.root)
    for (const waiting of together) {
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1)
      waiting.go()
    }
  }
}

/** The outermost of those that wait for the end of `user`. */
export function rootOf(user: ConnectionUser | undefined): ConnectionUser | undefined {
  let root = user
  for (let outer = root; outer !== undefined; outer = outer.usedBy ?? outer.startedIn) root = outer
  return root
}

function nameOf(user: ConnectionUser | undefined, role: string): string {
  return user === undefined ? `a statement of role "${role}" outside of any request or run` : user.name
}
