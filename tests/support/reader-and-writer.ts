import { newDatabase, openOrm, type Dialect, type TestOrm } from './orms.ts'
import { secondLook, type SecondLook } from './second-look.ts'

/** One database with an ORM for each of two roles. */
export interface ReaderAndWriter {
  readonly reader: TestOrm
  readonly writer: TestOrm
  readonly look: SecondLook
  close(): Promise<void>
}

/** A new one. The numbers are the most connections of each pool. */
export async function openReaderAndWriter(
  dialect: Dialect,
  { reader: readerMax = 5, writer: writerMax = 5 }: { readonly reader?: number; readonly writer?: number } = {},
): Promise<ReaderAndWriter> {
  const target = await newDatabase(dialect)
  const reader = await openOrm(target, { poolMax: readerMax })
  const writer = await openOrm(target, { poolMax: writerMax })
  const look = await secondLook(target)
  return {
    reader,
    writer,
    look,
    async close() {
      await look.close()
      await reader.close()
      await writer.close()
    },
  }
}
