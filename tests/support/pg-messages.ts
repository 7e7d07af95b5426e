/** Framing of PostgreSQL's wire protocol: a type byte, a length that counts itself, the body; a start-up packet has no type byte. */
export interface PgMessage {
  /** The type byte as a character; empty for a start-up packet. */
  readonly type: string
  readonly bytes: Buffer
  readonly body: Buffer
}

/** Cuts the chunks of one direction into whole messages. */
export class MessageReader {
  #rest: Buffer = Buffer.alloc(0)
  #startUp: boolean

  constructor(options: { startUp: boolean }) {
    this.#startUp = options.startUp
  }

  *push(chunk: Buffer): Generator<PgMessage> {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    for (let message = this.#next(); message; message = this.#next()) yield message
  }

  #next(): PgMessage | undefined {
    const header = this.#startUp ? 0 : 1
    if (this.#rest.length < header + 4) return undefined
    const end = header + this.#rest.readInt32BE(header)
    if (this.#rest.length < end) return undefined
    const bytes = this.#rest.subarray(0, end)
    this.#rest = this.#rest.subarray(end)
    const message = { type: bytes.toString('latin1', 0, header), bytes, body: bytes.subarray(header + 4) }
    // an encryption request is a start-up packet too, and the real one follows it
    if (this.#startUp && startUpCode(message) >>> 16 === 3) this.#startUp = false
    return message
  }
}

export const CANCEL_REQUEST = 80_877_102
export const ENCRYPTION_REQUESTS: readonly number[] = [80_877_103, 80_877_104]

/** The protocol version (3 << 16 for an ordinary session) or the code of a special request. */
export function startUpCode(message: PgMessage): number {
  return message.body.readInt32BE(0)
}

/** The same ErrorResponse or NoticeResponse from a server of another language: it translates the severity in field S, and not in V. */
export function translated({ type, body }: PgMessage, words: Readonly<Record<string, string>>): Buffer {
  const [own = ''] = cStrings(body.subarray(1), 1)
  const rest = body.subarray(1 + Buffer.byteLength(own))
  const text = Buffer.concat([body.subarray(0, 1), Buffer.from(words[own] ?? own), rest])
  const head = Buffer.alloc(5)
  head.write(type, 'latin1')
  head.writeInt32BE(text.length + 4, 1)
  return Buffer.concat([head, text])
}

/** The zero-terminated strings a body begins with: a query; a statement's name and text; a portal and a statement. */
export function cStrings(body: Buffer, count: number): string[] {
  const strings: string[] = []
  for (let from = 0; strings.length < count;) {
    const end = body.indexOf(0, from)
    strings.push(body.toString('utf8', from, end))
    from = end + 1
  }
  return strings
}
