/** Questions that the benchmark asks the processes it starts, over Node's own channel between parent and child. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import process from 'node:process'

interface Question {
  readonly number: number
  readonly name: string
  readonly argument: unknown
}

interface Answer {
  readonly number: number
  readonly value?: unknown
  readonly error?: string
}

/** In the child: answers by name. Ends the process when its parent is gone. */
export function answer(answers: Readonly<Record<string, (argument: any) => unknown>>): void {
  process.on('message', ({ number, name, argument }: Question) => {
    const value = (async () => await answers[name]!(argument))()
    value.then(
      (known) => process.send?.({ number, value: known }),
      (error: unknown) => process.send?.({ number, error: String((error as Error)?.stack ?? error) }),
    )
  })
  process.on('disconnect', () => process.exit())
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly execArgv?: readonly string[]
}

/** In the parent: a process that answers. */
export class Asked {
  readonly #name: string
  readonly #process: ChildProcess
  readonly #open = new Map<number, { resolve(value: any): void; reject(error: Error): void }>()
  #number = 0

  /** @param script a file beside this one */
  constructor(script: string, name: string, { env = {}, execArgv = [] }: StartOptions = {}) {
    this.#name = name
    this.#process = fork(fileURLToPath(new URL(script, import.meta.url)), {
      env: { ...process.env, ...env },
      execArgv: [...execArgv],
    })
    this.#process.on('message', (known: Answer) => {
      const waiting = this.#open.get(known.number)
      this.#open.delete(known.number)
      if (known.error === undefined) waiting?.resolve(known.value)
      else waiting?.reject(new Error(`${this.#name}: ${known.error}`))
    })
    this.#process.once('exit', (code, signal) => {
      for (const { reject } of this.#open.values()) reject(new Error(`${name} ended by itself (${signal ?? code})`))
    })
  }

  async ask<T = void>(name: string, argument?: unknown): Promise<T> {
    if (!this.#process.connected) throw new Error(`${this.#name} is not there any more, and was asked "${name}"`)
    const number = ++this.#number
    return await new Promise<T>((resolve, reject) => {
      this.#open.set(number, { resolve, reject })
      this.#process.send({ number, name, argument })
    })
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const exit = once(this.#process, 'exit')
    this.#process.disconnect()
    await exit
  }
}
