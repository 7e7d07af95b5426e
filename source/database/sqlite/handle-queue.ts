import { heldElsewhere } from '../held-elsewhere.ts'
import { waitForConnection, type ConnectionSource, type ConnectionUser } from '../connection-waits.ts'

const queues = new WeakMap<object, HandleQueue>()

/** The users of the only handle of `connection`, which is MikroORM's and may serve several registries. */
export function handleQueueOf(connection: object): HandleQueue {
  let queue = queues.get(connection)
  if (queue === undefined) queues.set(connection, (queue = new HandleQueue(connection)))
  return queue
}

/** Who holds the handle of a SQLite database, as far as known, and how many wait for it. */
class HandleQueue implements ConnectionSource {
  readonly isSingle = true
  readonly #connection: object
  #count = 0
  #reopening: Promise<void> | undefined
  #holder: ConnectionUser | undefined
  /** The role of the session that has the handle. */
  role: string | undefined

  constructor(connection: object) {
    this.#connection = connection
  }

  holders(): readonly ConnectionUser[] | undefined {
    if (this.#holder !== undefined) return [this.#holder]
    const others = heldElsewhere(this.#connection)
    return others.length === 0 ? undefined : others
  }

  /** Whether to ask for the handle now is to wait, as far as known. */
  get isTaken(): boolean {
    return this.#count > 0 || heldElsewhere(this.#connection).length > 0
  }

  /** Resolves when the handle that is being replaced is there. Undefined where none is. */
  get reopening(): Promise<void> | undefined {
    return this.#reopening
  }

  /** Waits for the handle that takes the place of another, if one does. @throws ConnectionDeadlockError */
  async reopened(role: string, user: ConnectionUser | undefined): Promise<void> {
    while (this.#reopening !== undefined) {
      if (user === undefined) await this.#reopening
      else await waitForConnection(this.#reopening, { user, role, source: this }, () => undefined)
    }
  }

  /** Does `work`, which replaces the handle. Who asks for it meanwhile waits for the new one. */
  async reopen(work: () => Promise<void>): Promise<void> {
    while (this.#reopening !== undefined) await this.#reopening
    const done = work()
    const over = done.catch(() => undefined).finally(() => (this.#reopening = undefined))
    this.#reopening = over
    await done
  }

  /** Waits for the handle that `acquiring` gets. Returns what gives it back. @throws ConnectionDeadlockError */
  async enter(acquiring: Promise<() => void>, role: string, user: ConnectionUser | undefined): Promise<() => void> {
    const { isTaken } = this
    this.#count++
    try {
      const waits = user !== undefined && isTaken
      const release = await (waits ? this.#inTurn(acquiring, role, user) : acquiring)
      this.#holder = user
      this.role = role
      return () => {
        this.#holder = undefined
        this.role = undefined
        this.#count--
        release()
      }
    } catch (error) {
      this.#count--
      throw error
    }
  }

  #inTurn(acquiring: Promise<() => void>, role: string, user: ConnectionUser): Promise<() => void> {
    return waitForConnection(acquiring, { user, role, source: this }, (release) => release())
  }
}
