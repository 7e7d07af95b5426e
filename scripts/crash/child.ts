/** A process of the experiment, seen from the parent. */
import { fork, type ChildProcess } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Access, Order, Tell } from './messages.ts'

export class Child extends EventEmitter<{ tell: [Tell]; exit: [string] }> {
  readonly name: string
  readonly #process: ChildProcess
  #errors = ''
  #ready = false
  #gone = false
  readonly exited: Promise<void>
  /** Its end was asked for. */
  condemned = false

  constructor(script: string, access: Access) {
    super()
    this.name = access.name
    this.#process = fork(fileURLToPath(new URL(script, import.meta.url)), [JSON.stringify(access)], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    this.#process.stderr?.on('data', (chunk: Buffer) => (this.#errors = (this.#errors + chunk.toString()).slice(-4000)))
    this.#process.on('message', (tell: Tell) => {
      if (tell.tell === 'ready') this.#ready = true
      this.emit('tell', tell)
    })
    const { promise, resolve } = Promise.withResolvers<void>()
    this.exited = promise
    this.#process.once('exit', (code, signal) => {
      this.#gone = true
      resolve()
      this.emit('exit', `${this.name} ended by itself (${signal ?? code}): ${this.#errors}`)
    })
  }

  get ready(): boolean {
    return this.#ready && !this.#gone
  }

  get gone(): boolean {
    return this.#gone
  }

  order(order: Order): void {
    if (this.#process.connected) this.#process.send(order)
  }

  /** SIGKILL, at once. */
  killNow(): void {
    this.condemned = true
    this.#process.kill('SIGKILL')
  }

  async kill(): Promise<void> {
    this.killNow()
    await this.exited
  }

  /** Until it says so, or is gone. */
  async told(what: Tell['tell']): Promise<Tell | undefined> {
    if (this.#gone) return undefined
    const { promise, resolve } = Promise.withResolvers<Tell | undefined>()
    const listen = (tell: Tell): void => {
      if (tell.tell === what) resolve(tell)
    }
    const gone = (): void => resolve(undefined)
    this.on('tell', listen)
    this.on('exit', gone)
    try {
      return await promise
    } finally {
      this.off('tell', listen)
      this.off('exit', gone)
    }
  }
}
