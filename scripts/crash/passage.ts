import type { Side, Step } from './steps.ts'

/** One message on its way to the server, or the whole of the answer to one on its way back. */
export interface Passage {
  /** Which database this proxy stands before. */
  readonly database: string
  /** The client's application_name. */
  readonly client: string
  readonly connection: number
  readonly step: Step
  readonly side: Side
  readonly text: string
  /** Breaks the connection for the client, at once; the server hears of it after the verdict. */
  cutClient(): void
}

/**
 * `pass`: it goes on. `cut`: it is lost, and the connection with it. `late`: a request whose client is cut off still
 * reaches the server, which carries it out before it sees the end of the connection.
 */
export type Verdict = 'pass' | 'cut' | 'late'
export type Watch = (passage: Passage) => Verdict | Promise<Verdict>

/** A protocol made wrong on purpose sits between the client and the server here. */
export interface Breakage {
  /** Whether the client gets a successful answer while the message waits to be sent. */
  holdsBack(passage: Passage): boolean
}

/** The proxy that a connection goes through. */
export interface ProxyHost {
  readonly database: string
  /** By global id: sends what was held back, and waits for its answer. */
  readonly heldBack: Map<string, () => Promise<void>>
  readonly breakage: Breakage | undefined
  readonly watch: Watch
}
