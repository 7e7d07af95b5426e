/** Streams on the channel `sqlassist:session:statement`: of a role that commits every statement, and one that fails. */
import { tracingChannel } from 'node:diagnostics_channel'
import * as assert from 'uvu/assert'
import { EngineRegistry } from '../../source/index.ts'
import type { StatementMessage } from '../../source/session/session-channels.ts'
import { Author } from '../support/entities.ts'
import { DIALECTS, openDatabase } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { suite } from '../support/suite.ts'

type Database = Awaited<ReturnType<typeof openDatabase>>
type Ended = StatementMessage & { readonly error?: Error }

async function endedStatements(work: () => Promise<unknown>): Promise<Ended[]> {
  const ended: Ended[] = []
  const statements = tracingChannel<unknown, StatementMessage>('sqlassist:session:statement')
  const note = (message: unknown) => void ended.push(message as Ended)
  statements.asyncEnd.subscribe(note)
  await work().finally(() => statements.asyncEnd.unsubscribe(note))
  return ended
}

async function count(rows: AsyncIterable<unknown>): Promise<number> {
  let counted = 0
  for await (const _ of rows) counted++
  return counted
}

for (const dialect of DIALECTS) {
  const test = suite<Database>(`streams that are told of on ${dialect}`)

  test.before(async (world) => {
    Object.assign(world, await openDatabase(dialect))
    await world.look.rows(`insert into author (name) values ('one'), ('two'), ('three')`)
  })
  test.after(async ({ close }) => await close())

  for (const commit of ['joined', 'autocommit'] as const) {
    test(`with commit: '${commit}' a stream is published when its last row was read, with their number`, async ({
      orm,
    }) => {
      const registry = new EngineRegistry({ writer: { orm, commit } })
      const ended = await endedStatements(() =>
        registry.run(async ({ dbSession }) => assert.is(await count(dbSession.writer.stream(Author)), 3)),
      )
      assert.equal(
        ended.map(({ role, rows, error }) => [role, rows, error]),
        [['writer', 3, undefined]],
      )
    })
  }

  test('a stream that fails is published with its error', async ({ orm }) => {
    const registry = new EngineRegistry({ writer: orm })
    let thrown: Error | undefined
    const ended = await endedStatements(() =>
      registry
        .run(async ({ dbSession }) => {
          const rows = dbSession.writer
            .getConnection()
            .stream('select * from nothing', [], dbSession.writer.getTransactionContext())
          thrown = await rejection(count(rows))
        })
        .catch(() => undefined),
    )
    assert.match(thrown?.message ?? '', /nothing/)
    assert.is(ended.length, 1)
    assert.match(ended[0]?.error?.message ?? '', /nothing/)
  })

  test.run()
}
