import type { EntityChange } from '../session/session-channels.ts'
import type { DebugPanelLimits } from './debug-panel-options.ts'
import type { RecordedChange } from './record.ts'

const PROPERTIES = 50
const CHARACTERS = 100

/** Records an entity that a flush writes. */
export function recordedChange(
  { kind, entity, id, properties, emptied }: EntityChange,
  role: string,
  atMs: number,
  { hideParameters }: DebugPanelLimits,
): RecordedChange {
  const isHidden = hideParameters && id !== undefined
  const names = (all: readonly string[]): string[] => all.slice(0, PROPERTIES).map(cut)
  return {
    role,
    atMs,
    kind,
    entity: cut(entity),
    id: isHidden ? '?' : id && cut(id),
    properties: names(properties),
    emptied: names(emptied),
  }
}

function cut(text: string): string {
  return text.length > CHARACTERS ? `${text.slice(0, CHARACTERS)}…` : text
}
