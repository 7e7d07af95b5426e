import { Configuration, type NamingStrategy } from '@mikro-orm/core'

type Learn = (configuration: Configuration) => void
type HandOut = (this: Configuration) => NamingStrategy

/**
 * Calls `learn` with the configuration that hands `strategy` out. The name of a foreign key ends in the table it refers to,
 * which MikroORM does not pass to a strategy: a configuration knows the entities.
 *
 * For as long as a strategy waits for that, and no longer, a method of MikroORM's prototype is replaced.
 */
export function whenHandedOut(strategy: NamingStrategy, learn: Learn): void {
  handedOut.waitFor(strategy, learn)
}

class HandedOutStrategies {
  readonly #waiting = new Map<NamingStrategy, Learn>()
  #handOut: HandOut | undefined
  #watched: HandOut | undefined

  waitFor(strategy: NamingStrategy, learn: Learn): void {
    this.#waiting.set(strategy, learn)
    if (this.#handOut !== undefined) return
    const prototype = Configuration.prototype as { getNamingStrategy: HandOut }
    const handOut = (this.#handOut = prototype.getNamingStrategy)
    const learned = (given: NamingStrategy, configuration: Configuration): void => this.#learned(given, configuration)
    this.#watched = prototype.getNamingStrategy = function getNamingStrategy() {
      const given = handOut.call(this)
      learned(given, this)
      return given
    }
  }

  #learned(strategy: NamingStrategy, configuration: Configuration): void {
    const learn = this.#waiting.get(strategy)
    if (learn === undefined) return
    this.#waiting.delete(strategy)
    if (this.#waiting.size === 0) this.#restore()
    learn(configuration)
  }

  #restore(): void {
    const prototype = Configuration.prototype as { getNamingStrategy: HandOut }
    // Somebody else may have replaced it since.
    if (this.#handOut === undefined || prototype.getNamingStrategy !== this.#watched) return
    prototype.getNamingStrategy = this.#handOut
    this.#handOut = undefined
  }
}

const handedOut = new HandedOutStrategies()
