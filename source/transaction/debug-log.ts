import type { Channel, TracingChannel } from 'node:diagnostics_channel'
import { debuglog } from 'node:util'
import { errorText } from './describe.ts'

const log = debuglog('sqlassist')

/** Gives the two parts of a line: what a message is about, and what happens to it. */
type Describe = (message: any) => readonly [subject: string, what: string]

/** The channels of one room, each with the function that describes its messages. */
export interface LoggedChannels {
  readonly plain?: readonly (readonly [Channel, Describe])[]
  readonly traced?: readonly (readonly [TracingChannel<any, any>, Describe])[]
}

/**
 * Writes a line to stderr for every message of these channels, if `NODE_DEBUG` contains `sqlassist`.
 * A traced operation gets one line at its start and one at its end.
 */
export function logChannels({ plain = [], traced = [] }: LoggedChannels): void {
  if (!log.enabled) return
  for (const [channel, describe] of plain) channel.subscribe((message) => write(describe(message), ''))
  for (const [tracing, describe] of traced) logTraced(tracing, describe)
}

function logTraced(tracing: TracingChannel<any, any>, describe: Describe): void {
  const started = new WeakMap<object, number>()
  tracing.start.subscribe((message) => {
    started.set(message as object, performance.now())
    write(describe(message), '')
  })
  tracing.asyncEnd.subscribe((message) => {
    const tookMs = performance.now() - (started.get(message as object) ?? Number.NaN)
    const { error } = message as { readonly error?: unknown }
    const outcome = error === undefined ? 'done' : `failed: ${errorText(error)}`
    write(describe(message), ` ${outcome} (${tookMs.toFixed(1)} ms)`)
  })
}

function write([subject, what]: ReturnType<Describe>, outcome: string): void {
  log('%s: %s%s', subject, what, outcome)
}

/** Numbers things in the order they are first seen, to keep them apart in a log: `transaction 1`, `transaction 2`. */
export function numbered(kind: string): (thing: object) => string {
  const numbers = new WeakMap<object, number>()
  let last = 0
  return (thing) => {
    let number = numbers.get(thing)
    if (number === undefined) numbers.set(thing, (number = ++last))
    return `${kind} ${number}`
  }
}
