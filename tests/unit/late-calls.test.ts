/** Calls that nobody awaits and that meet the end of their unit of work, or one of their own session's. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import * as assert from 'uvu/assert'
import type { EngineOptions, EngineRegistryOptions } from '../../source/index.ts'
import { EngineRegistry, TransientError } from '../../source/index.ts'
import { sessionCloseChannel } from '../../source/session/session-channels.ts'
import { authorNames } from '../support/authors.ts'
import { databaseSuite } from '../support/database-suite.ts'
import { Author, Book } from '../support/entities.ts'
import { DIALECTS } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import type { SecondLook } from '../support/second-look.ts'

/** The sessions whose end is the program's own as well. */
const OWN: readonly [string, Partial<EngineOptions>, EngineRegistryOptions][] = [
  ['autonomous', { commit: 'autonomous' }, {}],
  ['disabled', {}, { disableTransaction: true }],
]

const names = (look: SecondLook): Promise<unknown[]> => authorNames(look, 'name')

for (const dialect of DIALECTS) {
  const test = databaseSuite(`calls that nobody awaits on ${dialect}`, dialect)

  for (const [mode, engine, options] of OWN) {
    test(`a commit of its own that nobody awaits keeps the work from being done again, ${mode}`, async ({
      orm,
      look,
    }) => {
      let attempts = 0
      const error: any = await rejection(
        new EngineRegistry<any>({ writer: { orm, ...engine } }, options).run(
          async ({ dbSession: { writer } }: any) => {
            attempts++
            await writer.insert(Author, { name: 'paid' })
            writer.commit().catch(() => undefined)
            throw new TransientError('again')
          },
          { attempts: 2 },
        ),
      )
      assert.is(error.code, 'SQLASSIST_NOT_RETRIED')
      assert.is(attempts, 1)
      assert.equal(await names(look), ['paid'])
    })

    test(`a commit and a rollback at the same time are carried out in their order, ${mode}`, async ({ orm, look }) => {
      await new EngineRegistry<any>({ writer: { orm, ...engine } }, options).run(
        async ({ dbSession: { writer } }: any) => {
          writer.create(Author, { name: 'first' })
          const ends = [writer.commit(), writer.rollback()]
          await Promise.all(ends)
          writer.create(Author, { name: 'second' })
          await Promise.all([writer.rollback(), writer.commit()])
        },
      )
      assert.equal(await names(look), ['first'])
    })
  }

  test('what a flush under way goes on to write is undone by em.rollback()', async ({ orm, look }) => {
    await new EngineRegistry<any>({ writer: orm }).run(async ({ dbSession: { writer } }: any) => {
      writer.create(Author, { name: 'given up' })
      const flushed = writer.flush().catch(() => undefined)
      await writer.rollback()
      await flushed
      writer.create(Author, { name: 'stored' })
    })
    assert.equal(await names(look), ['stored'])
  })

  test('a commit called while the work fails is not done again', async ({ orm, look }) => {
    let attempts = 0
    const error: any = await rejection(
      new EngineRegistry<any>({ writer: orm }).run(
        async ({ dbSession: { writer }, txn }: any) => {
          attempts++
          await writer.insert(Author, { name: 'paid' })
          txn.join({
            sortKey: () => 'a',
            tpcBegin: () => undefined,
            commit: () => undefined,
            tpcVote: () => undefined,
            tpcFinish: () => undefined,
            tpcAbort: () => undefined,
            abort: () => undefined,
            // Asked before the abort.
            async shouldRetry() {
              txn.commit().catch(() => undefined)
              return true
            },
          })
          throw new RangeError('failed')
        },
        { attempts: 2 },
      ),
    )
    assert.is(error.code, 'SQLASSIST_NOT_RETRIED')
    assert.is(attempts, 1)
    assert.equal(await names(look), ['paid'])
  })

  test('the end of a unit and a rollback inside em.transactional() do not wait for each other', async ({
    orm,
    look,
  }) => {
    const error: any = await rejection(
      new EngineRegistry<any>({ writer: { orm, commit: 'autonomous' } }).run(
        async ({ dbSession: { writer }, txn }: any) => {
          await writer.insert(Author, { name: 'before' })
          txn.doom()
          writer
            .transactional(async (em: any) => {
              em.flush().catch(() => undefined)
              em.create(Author, { name: 'inside' })
              await em.flush()
              throw new RangeError('undo')
            })
            .catch(() => undefined)
        },
      ),
    )
    assert.is(error.code, 'SQLASSIST_NESTED_TRANSACTION_OPEN')
    assert.equal(await names(look), [])
  })

  test('a role is not opened anew while its unit ends', async ({ orm, look }) => {
    let late: Promise<unknown> | undefined
    let onClose = (): void => undefined
    const closed = (): void => onClose()
    subscribe(sessionCloseChannel.name, closed)
    try {
      await new EngineRegistry<any>({ writer: { orm, commit: 'autonomous' } }).run(async ({ dbSession }: any) => {
        await dbSession.writer.insert(Author, { name: 'stored' })
        onClose = () => {
          onClose = () => undefined
          late = rejection((async () => await dbSession.writer.insert(Author, { name: 'late' }))())
        }
      })
    } finally {
      unsubscribe(sessionCloseChannel.name, closed)
    }
    assert.is(((await late) as any).code, 'SQLASSIST_UNIT_OF_WORK_ENDED')
    assert.equal(await names(look), ['stored'])
  })

  test('what is written beside a flush that fails is not undone with it, where every statement commits', async ({
    orm,
    look,
  }) => {
    await look.rows(`insert into book (title) values ('taken')`)
    await rejection(
      new EngineRegistry<any>({ writer: { orm, commit: 'autocommit' } }).run(async ({ dbSession: { writer } }: any) => {
        writer.create(Book, { title: 'taken' })
        const flushed = rejection(writer.flush())
        const inserted = rejection(writer.insert(Author, { name: 'behind it' }))
        await writer.getKysely().insertInto('author').values({ name: 'by Kysely' }).execute()
        assert.match(String(await flushed), /unique/i)
        assert.is(((await inserted) as any).code, 'SQLASSIST_SESSION_FAILED')
      }),
    )
    assert.equal(await names(look), ['by Kysely'])
  })

  test('inside em.transactional() of a role that commits every statement, a loop over a stream may read', async ({
    orm,
    look,
  }) => {
    await look.rows(`insert into author (name) values ('a'), ('b')`)
    const seen: unknown[] = []
    await new EngineRegistry<any>({ writer: { orm, commit: 'autocommit' } }).run(
      async ({ dbSession: { writer } }: any) => {
        await writer.transactional(async (em: any) => {
          for await (const { name } of em.stream(Author, { orderBy: { name: 1 } }))
            seen.push(name, await em.count(Author))
        })
      },
    )
    assert.equal(seen, ['a', 2, 'b', 2])
  })

  test.run()
}
