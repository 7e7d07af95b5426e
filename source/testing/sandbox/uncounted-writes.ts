/**
 * How many rows raw SQL has written, by the counters of the transaction: they go on where a savepoint is rolled back, and know
 * of what a function writes.
 */
export class UncountedWrites {
  readonly #count: () => Promise<number>
  /** What the counter would be if nothing had been written. */
  #base: number
  /** By savepoint: how many were written before it. */
  readonly #before = new Map<string, number>()

  private constructor(count: () => Promise<number>, base: number) {
    this.#count = count
    this.#base = base
  }

  static async from(count: () => Promise<number>): Promise<UncountedWrites> {
    return new UncountedWrites(count, await count())
  }

  async hasWritten(): Promise<boolean> {
    return (await this.#count()) > this.#base
  }

  async noteSavepoint(name: string): Promise<void> {
    this.#before.set(name, (await this.#count()) - this.#base)
  }

  async noteWayBack(name: string): Promise<void> {
    this.#base = (await this.#count()) - (this.#before.get(name) ?? 0)
  }
}
