import type { RecoveryReport } from '../../source/index.ts'
import type { Bank } from './bank.ts'
import { Child } from './child.ts'
import type { Access } from './messages.ts'
import type { Outcomes } from './outcomes.ts'
import type { Random } from './random.ts'

const RECOVERERS = 2
const RESTS_WITHIN_MS = 20_000

/** The processes of a run: workers that make transfers, and recoverers. A dead one is replaced by one of a new name. */
export class Crew {
  readonly #bank: Bank
  readonly #outcomes: Outcomes
  readonly #random: Random
  /** What went wrong that no plan asked for. */
  readonly #complain: (complaint: string) => void
  readonly #size: number
  readonly #children = new Set<Child>()
  readonly #working = new Set<Child>()
  readonly #recoveries = new WeakMap<Child, Promise<RecoveryReport | undefined>>()
  #going = false
  #dismissed = false
  #hired = 0
  readonly #killAll = (): void => {
    for (const child of this.#children) child.killNow()
  }

  constructor(bank: Bank, outcomes: Outcomes, random: Random, size: number, complain: (complaint: string) => void) {
    this.#bank = bank
    this.#outcomes = outcomes
    this.#random = random
    this.#size = size
    this.#complain = complain
    process.on('exit', this.#killAll)
  }

  get #workers(): Child[] {
    return [...this.#children].filter(({ name }) => name.startsWith('worker'))
  }

  get #recoverers(): Child[] {
    return [...this.#children].filter(({ name }) => name.startsWith('recoverer'))
  }

  async start(): Promise<void> {
    while (this.#workers.length < this.#size) this.#hire('worker')
    while (this.#recoverers.length < RECOVERERS) this.#hire('recoverer')
    await this.ready()
  }

  /** Waits until the dead ones are replaced and there are enough to go on with. */
  async ready(): Promise<void> {
    await atLeast(this.#size - 1, () => this.#workers)
    await atLeast(1, () => this.#recoverers)
  }

  go(): void {
    this.#going = true
    for (const worker of this.#workers) this.#start(worker)
  }

  /** Every transfer under way is ended, well or not. */
  async rest(): Promise<void> {
    this.#going = false
    const late = AbortSignal.timeout(RESTS_WITHIN_MS)
    await Promise.all(
      [...this.#working].map(async (worker) => {
        const rested = worker.told('resting')
        worker.order({ do: 'rest' })
        const hung = new Promise<'hung'>((resolve) => late.addEventListener('abort', () => resolve('hung')))
        if ((await Promise.race([rested, hung])) !== 'hung') return
        this.#complain(`${worker.name} does not come to an end`)
        await worker.kill()
      }),
    )
    this.#working.clear()
  }

  worker(name: string): Child | undefined {
    return this.#workers.find((worker) => worker.name === name)
  }

  recoverer(name: string): Child | undefined {
    return this.#recoverers.find((recoverer) => recoverer.name === name)
  }

  anyWorker(): Child {
    return this.#random.pick([...this.#working])
  }

  anyRecoverer(): Child {
    return this.#random.pick(this.#recoverers.filter(({ ready }) => ready))
  }

  async killWorkers(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.kill()))
  }

  /** All recoverers at the same time, as every process of an application would. */
  async recover(): Promise<RecoveryReport[]> {
    const ready = this.#recoverers.filter((recoverer) => recoverer.ready)
    const reports = await Promise.all(ready.map((recoverer) => this.recoverBy(recoverer)))
    return reports.filter((report) => report !== undefined)
  }

  /** After what it is doing already. Undefined when it fails, or is killed meanwhile. */
  async recoverBy(recoverer: Child): Promise<RecoveryReport | undefined> {
    const recovery = Promise.resolve(this.#recoveries.get(recoverer)).then(() => this.#recoverBy(recoverer))
    this.#recoveries.set(recoverer, recovery)
    return await recovery
  }

  async #recoverBy(recoverer: Child): Promise<RecoveryReport | undefined> {
    const told = recoverer.told('recovered')
    recoverer.order({ do: 'recover' })
    const answer = await told
    if (answer?.tell !== 'recovered') return undefined
    if (answer.error !== undefined) this.#outcomes.note({ tell: 'failed', id: 'recovery', error: answer.error })
    return answer.report
  }

  async dismiss(): Promise<void> {
    this.#dismissed = true
    await Promise.all([...this.#children].map((child) => child.kill()))
    process.off('exit', this.#killAll)
  }

  #start(worker: Child): void {
    if (!worker.ready || !this.#going || this.#working.has(worker)) return
    this.#working.add(worker)
    worker.order({ do: 'go' })
  }

  #hire(kind: 'worker' | 'recoverer'): void {
    const number = ++this.#hired
    const { ports, password, book } = this.#bank
    const access: Access = {
      name: `${kind}-${number}`,
      seed: this.#random.below(2 ** 32),
      ports,
      password,
      book,
      // Either server gets to be the commit point.
      defaultRole: number % 2 === 0 ? 'left' : 'right',
    }
    const child = new Child(`./${kind}.ts`, access)
    this.#children.add(child)
    child.on('tell', (tell) => {
      this.#outcomes.note(tell)
      if (tell.tell === 'ready' && kind === 'worker') this.#start(child)
    })
    child.once('exit', (ending) => {
      this.#children.delete(child)
      this.#working.delete(child)
      if (!child.condemned) this.#complain(ending)
      if (!this.#dismissed) this.#hire(kind)
    })
  }
}

async function atLeast(count: number, children: () => readonly Child[]): Promise<void> {
  for (;;) {
    const starting = children().filter(({ ready }) => !ready)
    if (children().length - starting.length >= Math.max(count, 1)) return
    await Promise.race(starting.map((child) => child.told('ready')))
  }
}
