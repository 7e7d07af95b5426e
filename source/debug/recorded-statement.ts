import { inspect } from 'node:util'
import type { StatementMessage } from '../session/session-channels.ts'
import type { DebugPanelLimits } from './debug-panel-options.ts'
import { maskLiterals, shapeOf } from './mask-literals.ts'
import { formatPosition } from '../session/served-by.ts'
import type { RecordedServer, RecordedStatement } from './record.ts'

const PARAMETERS = 50
const PARAMETER_CHARACTERS = 200
/** How much more of a statement is read than kept, since masking makes it shorter. */
const READ_AHEAD = 8

/** Records a statement that begins. */
export function recordedStatement(
  message: StatementMessage,
  atMs: number,
  { statementLength, hideParameters }: DebugPanelLimits,
): RecordedStatement {
  const { role, state, inTransaction, begins, backend } = message
  const read = message.sql.slice(0, READ_AHEAD * statementLength)
  const text = hideParameters ? maskLiterals(read).trim() : read
  const sql = text.slice(0, statementLength)
  return {
    atMs,
    tookMs: undefined,
    error: undefined,
    role,
    sql,
    cutCharacters: message.sql.length - read.length + text.length - sql.length,
    shape: shapeOf(read).slice(0, statementLength),
    parameters: shownParameters(message.parameters, hideParameters),
    rows: undefined,
    inTransaction,
    readOnly: state === 'readonly',
    begins,
    backend,
    servedBy: undefined,
  }
}

/** Records which server answered a statement; undefined in a role without replicas. */
export function recordedServer(message: StatementMessage): RecordedServer | undefined {
  const { server, waitedMs = 0, required, fallback } = message
  if (server === undefined) return undefined
  const needed = required && formatPosition(required.position)
  return { server, waitedMs, needed, because: required?.origin, fallback }
}

function shownParameters(parameters: readonly unknown[], hidden: boolean): string[] {
  const shown = parameters.slice(0, PARAMETERS).map((value) => (hidden ? '?' : shownValue(value)))
  const rest = parameters.length - shown.length
  return rest > 0 ? [...shown, `… and ${rest} more`] : shown
}

function shownValue(value: unknown): string {
  const text = inspect(value, {
    depth: 2,
    maxArrayLength: 20,
    maxStringLength: PARAMETER_CHARACTERS,
    breakLength: Infinity,
  })
  return text.length > PARAMETER_CHARACTERS ? `${text.slice(0, PARAMETER_CHARACTERS)}…` : text
}
