/** What is told where more than one thing fails: the first error is thrown, the others are warned of. */
import * as assert from 'uvu/assert'
import { EngineRegistry, type DataManager } from '../../source/index.ts'
import { Author, Book } from '../support/entities.ts'
import { DIALECTS, openDatabase } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { suite } from '../support/suite.ts'
import { warnings } from '../support/warnings.ts'

type Database = Awaited<ReturnType<typeof openDatabase>>

/** A resource that cannot even be aborted. */
const stubborn: DataManager = {
  abort: () => Promise.reject(new Error('the resource is gone')),
  tpcBegin() {},
  commit() {},
  tpcVote() {},
  tpcFinish() {},
  tpcAbort() {},
  sortKey: () => 'stubborn',
}

for (const dialect of DIALECTS) {
  const test = suite<{ a: Database; b: Database }>(`the first error on ${dialect}`)

  test.before(async (world) => {
    world.a = await openDatabase(dialect)
    world.b = await openDatabase(dialect)
  })
  test.after(async ({ a, b }) => {
    for (const each of [a, b]) await each.close()
  })

  test('of the work is thrown when a resource cannot be aborted as well, and nothing is stored', async ({ a }) => {
    const registry = new EngineRegistry({ writer: a.orm })
    let error: Error | undefined
    const seen = await warnings('SQLASSIST_SUPPRESSED_ERROR', async () => {
      error = await rejection(
        registry.run(async ({ dbSession, txn }) => {
          txn.join(stubborn)
          dbSession.writer.create(Author, { name: 'lost' })
          await dbSession.writer.flush()
          throw new Error('the work failed')
        }),
      )
    })
    assert.is(error?.message, 'the work failed')
    assert.ok(
      seen.some(({ message }) => message.includes('the resource is gone')),
      seen.join('\n'),
    )
    assert.equal(await a.look.rows('select * from author'), [])
  })

  test('of the work is thrown when an autonomous role cannot commit as well', async ({ a, b }) => {
    await b.look.rows(`insert into book (title) values ('taken')`)
    const registry = new EngineRegistry({ writer: a.orm, log: { orm: b.orm, commit: 'autonomous' } })
    let error: Error | undefined
    const seen = await warnings('SQLASSIST_SUPPRESSED_ERROR', async () => {
      error = await rejection(
        registry.run(({ dbSession }) => {
          dbSession.log.create(Book, { title: 'taken' })
          throw new Error('the work failed')
        }),
      )
    })
    assert.is(error?.message, 'the work failed')
    assert.ok(
      seen.some(({ message }) => message.startsWith('while aborting because of: Error: the work failed')),
      seen.join('\n'),
    )
  })

  test('of a disabled transaction decides whether the work is worth another try', async ({ a }) => {
    const registry = new EngineRegistry({ writer: a.orm }, { disableTransaction: true })
    let runs = 0
    await registry.run(
      async ({ dbSession }) => {
        dbSession.writer.create(Author, { name: `run ${++runs}` })
        await dbSession.writer.flush()
        if (runs === 1) throw Object.assign(new Error('a deadlock'), { code: '40P01' })
      },
      { attempts: 2 },
    )
    assert.equal(await a.look.rows('select name from author'), [{ name: 'run 2' }])
  })

  test.run()
}
