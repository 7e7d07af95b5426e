/** Statements that begin or end a transaction, in a role that commits every statement: MikroORM would not know of them. */
import { sql } from 'kysely'
import * as assert from 'uvu/assert'
import { EngineRegistry } from '../../source/index.ts'
import { authorNames } from '../support/authors.ts'
import { databaseSuite, type DatabaseWorld } from '../support/database-suite.ts'
import { Author } from '../support/entities.ts'
import { DIALECTS } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import type { Test } from '../support/suite.ts'

type Em = any

const insert = (em: Em, name: string): Promise<unknown> => em.insert(Author, { name })
const run = ({ orm }: DatabaseWorld, work: (em: Em) => unknown): Promise<unknown> =>
  new EngineRegistry<any>({ writer: { orm, commit: 'autocommit' } }).run(({ dbSession }: any) => work(dbSession.writer))

const SHOWN = ['begin', 'COMMIT', '/* ; */ rollback', 'end', 'select 1; commit']

for (const dialect of DIALECTS) {
  const test = databaseSuite(`endings in an autocommit role (${dialect})`, dialect)

  for (const text of SHOWN) {
    test(`${text} outside of transactions takes nothing from what comes behind it`, async (world) => {
      await run(world, async (em) => {
        const answer: any = await em.execute(text).catch((error: unknown) => error)
        if (dialect === 'sqlite') assert.is(answer.code, 'SQLASSIST_MANAGED_SESSION')
        await insert(em, 'behind it')
      })
      assert.equal(await authorNames(world.look), ['behind it'])
    })

    for (const [what, begin] of [
      ['em.transactional()', (em: Em, work: (own: Em) => unknown) => em.transactional(work)],
      [
        'em.begin()',
        async (em: Em, work: (own: Em) => unknown) => {
          await em.begin()
          await work(em)
          await em.commit()
        },
      ],
    ] as const) {
      test(`${text} is refused in ${what}, all of which is stored`, async (world) => {
        await run(world, (em) =>
          begin(em, async (own) => {
            await insert(own, 'before it')
            const error: any = await rejection(own.execute(text))
            assert.is(error.code, 'SQLASSIST_MANAGED_SESSION')
            assert.match(error.message, 'Use em.transactional()')
            await insert(own, 'behind it')
          }),
        )
        assert.equal(await authorNames(world.look), ['before it', 'behind it'])
      })
    }

    test(`${text} commits nothing of an em.transactional() that fails`, async (world) => {
      const failing = async (own: Em): Promise<void> => {
        await insert(own, 'before it')
        await own.execute(text)
      }
      const error: any = await rejection(run(world, (em) => em.transactional(failing)))
      assert.is(error.code, 'SQLASSIST_MANAGED_SESSION')
      assert.equal(await authorNames(world.look), [])
    })
  }

  test('BEGIN by Kysely outside of transactions leaves none open', async (world) => {
    await run(world, async (em) => {
      const answer: any = await sql`begin`.execute(em.getKysely()).catch((error: unknown) => error)
      if (dialect === 'sqlite') assert.is(answer.code, 'SQLASSIST_MANAGED_SESSION')
      await insert(em, 'behind it')
    })
    assert.equal(await authorNames(world.look), ['behind it'])
  })

  test('BEGIN by Kysely in em.transactional() takes nothing from it', async (world) => {
    const work = async (own: Em): Promise<void> => {
      await insert(own, 'before it')
      await sql`begin`.execute(own.getKysely()).catch(() => undefined)
      throw new Error('on purpose')
    }
    const error = await rejection(run(world, (em) => em.transactional(work)))
    assert.is(error.message, 'on purpose')
    assert.equal(await authorNames(world.look), [])
  })

  test('COMMIT by Kysely in em.transactional() fails that', async (world) => {
    const work = async (own: Em): Promise<void> => {
      await insert(own, 'before it')
      await sql`commit`.execute(own.getKysely())
    }
    const error: any = await rejection(run(world, (em) => em.transactional(work)))
    assert.is(error.code, 'SQLASSIST_ENDED_BY_STATEMENT')
    assert.is(error.outcome, 'committed')
    assert.equal(await authorNames(world.look), ['before it'])
  })

  if (dialect === 'sqlite') addTestsOfSqlite(test)
  else addTestsOfPostgres(test)

  test.run()
}

function addTestsOfSqlite(test: Test<DatabaseWorld>): void {
  test('a savepoint outside of transactions is an error, and leaves no transaction open', async (world) => {
    await run(world, async (em) => {
      const error: any = await rejection(em.execute('savepoint mine'))
      assert.is(error.code, 'SQLASSIST_MANAGED_SESSION')
      await insert(em, 'behind it')
    })
    assert.equal(await authorNames(world.look), ['behind it'])
  })

  test('where SQLite has ended the transaction of em.transactional(), nothing is stored behind it', async (world) => {
    await world.look.rows('create table guarded (x int)')
    await world.look.rows(`create trigger guard before insert on guarded begin select raise(rollback, 'no'); end`)
    let behind: any
    const work = async (own: Em): Promise<void> => {
      await insert(own, 'before it')
      await rejection(own.execute('insert into guarded values (1)'))
      behind = await rejection(insert(own, 'behind it'))
    }
    const error: any = await rejection(run(world, (em) => em.transactional(work)))
    assert.equal([behind.code, error.code], ['SQLASSIST_TRANSACTION_ABORTED', 'SQLASSIST_TRANSACTION_ABORTED'])
    assert.equal(await authorNames(world.look), [])
  })
}

function addTestsOfPostgres(test: Test<DatabaseWorld>): void {
  for (const [what, ends] of [
    ['em.transactional()', async (): Promise<void> => undefined],
    [
      'em.transactional() that fails',
      async (): Promise<void> => {
        throw new Error('on purpose')
      },
    ],
  ] as const) {
    test(`a COMMIT that its text does not show is an error in ${what}, and nothing is sent behind it`, async (world) => {
      const codes: unknown[] = []
      const work = async (own: Em): Promise<void> => {
        await insert(own, 'before it')
        await own.execute('set local standard_conforming_strings = off')
        codes.push(((await rejection(own.execute(`select '\\''; commit; --'`))) as any).code)
        codes.push(((await rejection(insert(own, 'behind it'))) as any).code)
        await ends()
      }
      await rejection(run(world, (em) => em.transactional(work)))
      assert.equal(codes, ['SQLASSIST_ENDED_BY_STATEMENT', 'SQLASSIST_ENDED_BY_STATEMENT'])
      assert.equal(await authorNames(world.look), ['before it'])
    })
  }
}
