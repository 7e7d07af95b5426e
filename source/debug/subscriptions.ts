import type { Channel, TracingChannel } from 'node:diagnostics_channel'
import { warn } from '../transaction/warnings.ts'
import type { RecordedSpan } from './record.ts'

/** Handlers for the start and end of an operation; `start` returns its record. */
interface Tracing<Message> {
  readonly start: (message: Message) => RecordedSpan | undefined
  readonly end: (message: Message, span: RecordedSpan | undefined, error: unknown) => void
}

/**
 * Subscriptions to diagnostics channels. An error thrown by a subscriber would end the process: it is caught, reported once,
 * and the request goes on.
 */
export class Subscriptions {
  readonly #undo: (() => void)[] = []
  #warned = false

  /** `note` gets each message of the channel. */
  add(channel: Channel, note: (message: any) => void): void {
    const subscriber = (message: unknown): void => this.#safely(() => note(message))
    channel.subscribe(subscriber)
    this.#undo.push(() => {
      channel.unsubscribe(subscriber)
    })
  }

  addTracing<Message extends object>(
    channel: TracingChannel<Message, Message>,
    { start, end }: Tracing<Message>,
  ): void {
    const spans = new WeakMap<object, RecordedSpan>()
    this.add(channel.start, (message: Message) => {
      const span = start(message)
      if (span !== undefined) spans.set(message, span)
    })
    this.add(channel.asyncEnd, (message: Message & { readonly error?: unknown }) =>
      end(message, spans.get(message), message.error),
    )
  }

  end(): void {
    for (const undo of this.#undo.splice(0)) undo()
  }

  #safely(note: () => void): void {
    try {
      note()
    } catch (error) {
      if (this.#warned) return
      this.#warned = true
      warn(`The debug panel could not record a message: ${String(error)}`, {
        code: 'SQLASSIST_DEBUG_PANEL',
        error,
      })
    }
  }
}
