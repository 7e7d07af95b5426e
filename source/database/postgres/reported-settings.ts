import type { PoolClient } from 'pg'

interface Reported {
  readonly parameterName: string
  readonly parameterValue: string
}

/** What pg keeps to itself: https://github.com/brianc/node-postgres/blob/master/packages/pg/lib/connection.js */
interface Internals {
  readonly connection?: { on(event: 'parameterStatus', listener: (reported: Reported) => void): void } | undefined
}

const known = new WeakMap<PoolClient, ReportedSettings>()

/**
 * The settings of a client that the server reports when they change, at no cost: time zone, encodings, who is logged in, in
 * PostgreSQL 18 also search_path. SET LOCAL is reported too, and its end.
 */
export class ReportedSettings {
  readonly #clean = new Map<string, string>()
  readonly #changed = new Map<string, string>()

  static of(client: PoolClient): ReportedSettings {
    let settings = known.get(client)
    if (settings === undefined) {
      settings = new ReportedSettings()
      settings.#listen(client)
      known.set(client, settings)
    }
    return settings
  }

  #listen(client: PoolClient): void {
    ;(client as Internals).connection?.on('parameterStatus', ({ parameterName, parameterValue }) => {
      if (this.#clean.get(parameterName) === parameterValue) this.#changed.delete(parameterName)
      else this.#changed.set(parameterName, parameterValue)
    })
  }

  /** Whether they are as they were when the client was last known to be clean. */
  get areClean(): boolean {
    return this.#changed.size === 0
  }

  /** Takes them, as they are now, for those of a clean client. */
  markClean(): void {
    for (const [name, value] of this.#changed) this.#clean.set(name, value)
    this.#changed.clear()
  }
}
