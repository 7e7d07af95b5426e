import { dirname } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { SandboxReadAheadError } from './errors.ts'
import type { Pin } from './pin.ts'
import type { ResolvedSandboxOptions } from './sandbox-options.ts'

/** The folder of this library. */
const OWN = dirname(dirname(fileURLToPath(import.meta.url)))
/** Deep enough for what MikroORM and Kysely call. */
const FRAMES = 100

/** Notices reads that production would answer otherwise. */
export class ReadAhead {
  readonly #does: ResolvedSandboxOptions['readAhead']
  readonly #known = new Set<string>()
  /** How many there were. */
  count = 0

  constructor(does: ResolvedSandboxOptions['readAhead']) {
    this.#does = does
  }

  /** @throws SandboxReadAheadError */
  readonly check = (pin: Pin, reader: string): void => {
    const writer = Array.from(pin.frames).find(({ hasWritten, role }) => hasWritten && role !== reader)
    if (writer === undefined) return
    this.count++
    if (this.#does === 'error') throw new SandboxReadAheadError(reader, writer.role)
    if (this.#does === 'allow') return
    const place = callSite()
    if (this.#known.has(place)) return
    this.#known.add(place)
    process.emitWarning(`${new SandboxReadAheadError(reader, writer.role).message} At: ${place}`, {
      code: 'SQLASSIST_SANDBOX_READ_AHEAD',
    })
  }
}

/** The innermost place in the program's own code. */
function callSite(): string {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = FRAMES
  const { stack = '' } = new Error()
  Error.stackTraceLimit = stackTraceLimit
  const lines = stack.split('\n').slice(1)
  return (lines.find(isOfProgram) ?? 'an unknown place').trim().replace(/^at /, '')
}

function isOfProgram(line: string): boolean {
  return !line.includes('node_modules') && !line.includes(OWN) && !line.includes('node:internal')
}
