import { SandboxReplayError } from './errors.ts'
import type { FrameConnection } from './frame-connection.ts'
import { isSame, type Entry } from './journal.ts'

/** Sends a statement once more, with the sequences as they were. @throws SandboxReplayError where it does not come out the same */
export async function sendAgain(connection: FrameConnection, entry: Entry): Promise<void> {
  const { frame, sql, parameters, result, sequences } = entry
  try {
    await connection.useContextOf(frame)
    if (sequences !== undefined) await connection.restoreSequences(frame, sequences)
    const again = await connection.send(frame, sql, parameters)
    if (result === undefined || isSame(again, result)) return
  } catch (error) {
    throw new SandboxReplayError(frame.role, sql, error as Error)
  }
  throw new SandboxReplayError(frame.role, sql, undefined)
}
