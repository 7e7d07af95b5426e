/**
 * The statements of an autocommit session, which MikroORM sends past it. One that fails inside a transaction of MikroORM's
 * may have broken that off, and MikroORM does not see it.
 */
export class PassingStatements {
  readonly #breaksOff: boolean
  #doubts = 0
  #underWay = 0

  /** `breaksOff`: the database breaks a transaction off when a statement fails. */
  constructor(breaksOff: boolean) {
    this.#breaksOff = breaksOff
  }

  /** Changes when a transaction may have been broken off; undefined while a statement is on its way. */
  get doubts(): number | undefined {
    return this.#underWay > 0 ? undefined : this.#doubts
  }

  /** Notes a statement of which not even the failure will be known. */
  doubt(): void {
    if (this.#breaksOff) this.#doubts++
  }

  /** Sends one, and notes its failure. */
  async noting<T>(send: () => Promise<T>): Promise<T> {
    this.#underWay++
    try {
      return await send()
    } catch (error) {
      this.doubt()
      throw error
    } finally {
      this.#underWay--
    }
  }
}
