import type { Socket } from 'node:net'
import {
  CANCEL_REQUEST,
  cStrings,
  ENCRYPTION_REQUESTS,
  MessageReader,
  startUpCode,
  type PgMessage,
} from '../../tests/support/pg-messages.ts'
import type { Passage, ProxyHost, Verdict } from './passage.ts'
import { stepOf, type Side } from './steps.ts'

/** What one ReadyForQuery answers. */
interface Question {
  readonly text: string
  readonly answer: Buffer[]
  /** The client has had its answer already; the server's own goes nowhere. */
  readonly answered?: () => void
}

/** The command tag and the state that a successful PREPARE TRANSACTION is answered with. */
const PREPARED = Buffer.concat([
  Buffer.from('C\0\0\0\x18PREPARE TRANSACTION\0', 'latin1'),
  Buffer.from('Z\0\0\0\x05I', 'latin1'),
])

const GLOBAL_ID = /\b(?:prepare transaction|(?:commit|rollback) prepared) '((?:[^']|'')*)'/i

/** One client's connection. Each direction keeps its order, also while a message waits. */
export class ProxyConnection {
  readonly #proxy: ProxyHost
  readonly #client: Socket
  readonly #server: Socket
  readonly #number: number
  #name = ''
  /** The messages since the last one that ends a question. */
  #asking: PgMessage[] = []
  readonly #open: Question[] = []
  /** The global id of what is held back. */
  #heldBack = ''
  #sendHeldBack: (() => Promise<void>) | undefined
  /** What waits for an answer that will not come any more when the server's end closes. */
  #lost: (() => void) | undefined

  constructor(proxy: ProxyHost, client: Socket, server: Socket, number: number) {
    this.#proxy = proxy
    this.#client = client
    this.#server = server
    this.#number = number
  }

  relay(): void {
    this.#client.once('close', () => this.#proxy.heldBack.delete(this.#heldBack))
    this.#server.once('close', () => this.#lost?.())
    this.#relay(this.#client, this.#server, new MessageReader({ startUp: true }), (message) => this.#asked(message))
    this.#relay(this.#server, this.#client, new MessageReader({ startUp: false }), (message) => this.#told(message))
  }

  #relay(from: Socket, to: Socket, reader: MessageReader, handle: (message: PgMessage) => Promise<boolean>): void {
    let tail = Promise.resolve()
    let open = true
    from.on('data', (chunk: Buffer) => {
      tail = tail.then(async () => {
        for (const message of open ? reader.push(chunk) : []) {
          open = open && (await handle(message))
        }
        if (!open) this.#destroy()
      })
    })
    from.on('error', () => undefined)
    from.on('close', () => {
      // What was on its way still arrives; then the other end sees that this one is gone.
      tail = tail.then(() => void to.end(() => to.destroySoon()))
    })
  }

  async #asked(message: PgMessage): Promise<boolean> {
    if (message.type === '') return this.#startUp(message)
    // Passwords and the goodbye: no ReadyForQuery answers them.
    if ('pX'.includes(message.type)) return this.#server.write(message.bytes) || true
    this.#asking.push(message)
    if (!'QS'.includes(message.type)) return true
    const messages = this.#asking.splice(0)
    const text = messages.map(sqlOf).filter(Boolean).join(';')
    const bytes = Buffer.concat(messages.map((each) => each.bytes))
    const verdict = await this.#verdict(text, 'request')
    if (verdict === 'cut') return false
    if (verdict === 'late') {
      this.#server.end(bytes)
      return true
    }
    await this.#sendHeldBack?.()
    await this.#proxy.heldBack.get(globalIdIn(text))?.()
    if (this.#proxy.breakage?.holdsBack(this.#passage(text, 'request')) === true) this.#holdBack(text, bytes)
    else this.#send({ text, answer: [] }, bytes)
    return true
  }

  #startUp(message: PgMessage): boolean {
    const code = startUpCode(message)
    if (ENCRYPTION_REQUESTS.includes(code)) {
      this.#client.write('N')
      return true
    }
    if (code !== CANCEL_REQUEST) {
      const words = message.body.toString('utf8', 4).split('\0')
      this.#name = words[words.indexOf('application_name') + 1] ?? ''
    }
    this.#server.write(message.bytes)
    return true
  }

  #send(question: Question, bytes: Buffer): void {
    this.#open.push(question)
    this.#server.write(bytes)
  }

  /** Answers the client that it is prepared. The server gets the message when somebody asks for it or goes on. */
  #holdBack(text: string, bytes: Buffer): void {
    const id = globalIdIn(text)
    this.#heldBack = id
    this.#sendHeldBack = async (): Promise<void> => {
      this.#proxy.heldBack.delete(id)
      this.#sendHeldBack = undefined
      await new Promise<void>((answered) => {
        this.#lost = answered
        this.#send({ text, answer: [], answered }, bytes)
      })
    }
    this.#proxy.heldBack.set(id, this.#sendHeldBack)
    this.#client.write(PREPARED)
  }

  async #told(message: PgMessage): Promise<boolean> {
    const [question] = this.#open
    if (question === undefined) {
      this.#client.write(message.bytes)
      return true
    }
    question.answer.push(message.bytes)
    if (message.type !== 'Z') return true
    this.#open.shift()
    if (question.answered !== undefined) {
      question.answered()
      return true
    }
    if ((await this.#verdict(question.text, 'answer')) === 'cut') return false
    this.#client.write(Buffer.concat(question.answer))
    return true
  }

  #passage(text: string, side: Side): Passage {
    return {
      database: this.#proxy.database,
      client: this.#name,
      connection: this.#number,
      step: stepOf(text),
      side,
      text,
      cutClient: () => void this.#client.destroy(),
    }
  }

  async #verdict(text: string, side: Side): Promise<Verdict> {
    return text === '' ? 'pass' : await this.#proxy.watch(this.#passage(text, side))
  }

  #destroy(): void {
    this.#client.destroy()
    this.#server.destroy()
  }
}

function globalIdIn(text: string): string {
  return GLOBAL_ID.exec(text)?.[1] ?? ''
}

function sqlOf({ type, body }: PgMessage): string {
  if (type === 'Q') return cStrings(body, 1)[0] ?? ''
  return type === 'P' ? (cStrings(body, 2)[1] ?? '') : ''
}
