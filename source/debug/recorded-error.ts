import { inspect } from 'node:util'
import type { RecordedError } from './record.ts'

const MESSAGE_CHARACTERS = 2000
const FRAMES = 30
const CAUSES = 5

export const HIDDEN = '(hidden)'

/**
 * Records an error, which may be any value. A message can hold the values of a statement, so it is left out where
 * parameters are hidden.
 */
export function recordedError(error: unknown, hidden: boolean, causes = CAUSES): RecordedError {
  if (!(error instanceof Error)) {
    return {
      name: typeof error,
      message: hidden ? HIDDEN : textOf(error),
      code: undefined,
      frames: [],
      cause: undefined,
    }
  }
  // Programs may give these properties any type.
  const { name, message, stack, cause, code } = error as unknown as Readonly<Record<string, unknown>>
  return {
    name: textOf(name),
    message: hidden ? HIDDEN : textOf(message),
    code: typeof code === 'string' || typeof code === 'number' ? textOf(code) : undefined,
    frames: framesOf(stack, message, hidden),
    cause: cause === undefined || causes === 0 ? undefined : recordedError(cause, hidden, causes - 1),
  }
}

/** Returns the frames after the message, whose lines can look like frames; none where a hidden message is not found. */
function framesOf(stack: unknown, message: unknown, hidden: boolean): string[] {
  if (typeof stack !== 'string' || typeof message !== 'string') return []
  const start = stack.indexOf(message)
  if (start === -1 && hidden) return []
  return stack
    .slice(start === -1 ? 0 : start + message.length)
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .slice(0, FRAMES)
    .map((line) => cut(line.trim()))
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return cut(value)
  return cut(inspect(value, { depth: 2, maxStringLength: MESSAGE_CHARACTERS, maxArrayLength: 20 }))
}

function cut(text: string): string {
  return text.length > MESSAGE_CHARACTERS ? `${text.slice(0, MESSAGE_CHARACTERS)}…` : text
}
