import type { Socket } from 'node:net'
import { cStrings, ENCRYPTION_REQUESTS, MessageReader, startUpCode } from '../../tests/support/pg-messages.ts'

export interface NetworkState {
  /** Questions on their way: each is a simple query, or everything up to a Sync, and is answered by one ReadyForQuery. */
  readonly asked: number
  /** How many of them PostgreSQL has answered in full; the answers are held. */
  readonly answered: number
  /** Connections opened so far. */
  readonly opened: number
}

interface Question {
  readonly sql: string[]
  readonly answer: Buffer[]
  answered: boolean
}

/** Connections whose questions pass at once, and whose answers are held until the next step, while it holds. */
export class SteppedNetwork {
  readonly #connections = new Set<SteppedConnection>()
  #opened = 0
  #holds = false

  hold(): void {
    this.#holds = true
  }

  flow(): void {
    this.#holds = false
    this.step()
  }

  add(client: Socket, server: Socket): void {
    const connection = new SteppedConnection(client, server, () => this.#holds)
    this.#connections.add(connection)
    this.#opened++
    client.once('close', () => this.#connections.delete(connection))
  }

  state(): NetworkState {
    const questions = [...this.#connections].flatMap(({ questions: each }) => each)
    return {
      asked: questions.length,
      answered: questions.filter(({ answered }) => answered).length,
      opened: this.#opened,
    }
  }

  /** Brings every answer that is held, on all connections; the SQL that was answered. */
  step(): string[] {
    return [...this.#connections].flatMap((connection) => connection.step())
  }
}

class SteppedConnection {
  readonly #client: Socket
  readonly #holds: () => boolean
  questions: Question[] = []
  readonly #prepared = new Map<string, string>()
  /** What is sent before its Sync. */
  #sql: string[] = []
  /** Before the first ReadyForQuery: greeting and password pass freely. */
  #greeting = true

  constructor(client: Socket, server: Socket, holds: () => boolean) {
    this.#client = client
    this.#holds = holds
    const fromClient = new MessageReader({ startUp: true })
    const fromServer = new MessageReader({ startUp: false })
    client.on('data', (chunk: Buffer) => {
      for (const { type, body, bytes } of fromClient.push(chunk)) {
        if (type === '' && ENCRYPTION_REQUESTS.includes(startUpCode({ type, body, bytes }))) client.write('N')
        else server.write(bytes)
        this.#asked(type, body)
      }
    })
    server.on('data', (chunk: Buffer) => {
      for (const { type, bytes } of fromServer.push(chunk)) this.#told(type, bytes)
    })
  }

  #asked(type: string, body: Buffer): void {
    if (type === 'Q') this.#sql.push(cStrings(body, 1)[0] ?? '')
    if (type === 'P') {
      const [name = '', sql = ''] = cStrings(body, 2)
      this.#prepared.set(name, sql)
    }
    if (type === 'B') this.#sql.push(this.#prepared.get(cStrings(body, 2)[1] ?? '') ?? '')
    if (type === 'Q' || type === 'S') this.questions.push({ sql: this.#sql.splice(0), answer: [], answered: false })
  }

  #told(type: string, bytes: Buffer): void {
    const question = this.questions.find(({ answered }) => !answered)
    if (this.#greeting || question === undefined) {
      this.#client.write(bytes)
      if (type === 'Z') this.#greeting = false
      return
    }
    question.answer.push(bytes)
    question.answered = type === 'Z'
    if (question.answered && !this.#holds()) this.step()
  }

  step(): string[] {
    const answered = this.questions.filter((question) => question.answered)
    this.questions = this.questions.filter((question) => !question.answered)
    if (answered.length > 0) this.#client.write(Buffer.concat(answered.flatMap(({ answer }) => answer)))
    return answered.flatMap(({ sql }) => sql)
  }
}
