import { chunksOf } from '../../database/chunks-of.ts'
import type { CompiledQuery } from 'kysely'
import type { Admit, Reads, StatementResult } from '../../database/database.ts'
import type { Frame } from './frame.ts'

/** Reads of a session in a sandbox, each in a frame of its own: one that fails spoils no other. */
export class FrameReads implements Reads {
  readonly #begin: () => Promise<Frame>
  readonly #frames = new Set<Frame>()

  constructor(begin: () => Promise<Frame>) {
    this.#begin = begin
  }

  async execute({ sql, parameters }: CompiledQuery, admit: Admit): Promise<StatementResult> {
    const frame = await this.#begin()
    this.#frames.add(frame)
    try {
      frame.watch(sql, admit(frame.kindOf(sql), frame.backend))
      return await frame.readAlone(sql, parameters)
    } finally {
      this.#frames.delete(frame)
      await frame.rollback()
    }
  }

  /** The rows are read at once. */
  async *stream(query: CompiledQuery, chunkSize: number, admit: Admit): AsyncIterable<unknown[]> {
    const { rows } = await this.execute(query, admit)
    yield* chunksOf(rows, chunkSize)
  }

  cancel(): void {
    for (const frame of this.#frames) frame.cancel()
  }
}
