/** What em.transactional() and em.begin() ask of a transaction: its isolation level, and that it only reads. */
import * as assert from 'uvu/assert'
import {
  EngineRegistry,
  ReadOnlyTransactionError,
  TransactionOptionsError,
  type EngineOptions,
} from '../../source/index.ts'
import { authorNames } from '../support/authors.ts'
import { databaseSuite } from '../support/database-suite.ts'
import { Author } from '../support/entities.ts'
import { DIALECTS } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'

type Em = any
type Role = Omit<EngineOptions, 'orm'>

const add = (em: Em, name: string): Promise<unknown> => em.insert(Author, { id: 5, name })
const READ_ONLY = { readOnly: true }
const SERIALIZABLE = { isolationLevel: 'serializable' }

const WRITES: Readonly<Record<string, (em: Em) => unknown>> = {
  'em.insert': (em) => add(em, 'x'),
  'a flush at its end': (em) => void em.create(Author, { name: 'x' }),
  'a change': async (em) => void ((await em.findOneOrFail(Author, { name: 'first' })).name = 'x'),
  'raw SQL': (em) => em.execute(`insert into author (name) values ('x')`),
  Kysely: (em) => em.getKysely().insertInto('author').values({ name: 'x' }).execute(),
  'an inner one': (em) => em.transactional((inner: Em) => add(inner, 'x')),
  'the end of its savepoint': (em) => em.execute('release trx1'),
}

for (const dialect of DIALECTS) {
  const test = databaseSuite(`what transactions are asked for on ${dialect}`, dialect)
  test.before.each(async ({ look }) => void (await look.rows(`insert into author (id, name) values (1, 'first')`)))
  const runs = (orm: any, role: Role, work: (em: Em) => unknown, disableTransaction = false): Promise<any> => {
    const registry = new EngineRegistry<any>({ writer: { orm, ...role } }, { disableTransaction })
    return registry.run(({ dbSession }: any) => work(dbSession.writer))
  }

  for (const [name, write] of Object.entries(WRITES)) {
    test(`a nested transaction that only reads stores nothing, and what is around it does: ${name}`, async (world) => {
      for (const role of [{}, { commit: 'autonomous' }, { rawWrites: 'commit' }] as const) {
        await runs(world.orm, role, async (em) => {
          // The session has not begun.
          const error = await rejection(em.transactional(write, READ_ONLY))
          assert.instance(error, ReadOnlyTransactionError, String(error))
          await em.execute(`update author set name = 'first' where id = 1`)
          await em.insert(Author, { id: 2, name: 'before' })
          assert.instance(await rejection(em.transactional(write, READ_ONLY)), ReadOnlyTransactionError)
          assert.is(await em.transactional((inner: Em) => inner.count(Author), READ_ONLY), 2)
          await em.insert(Author, { id: 3, name: 'behind' })
        })
        assert.equal(await authorNames(world.look), ['first', 'before', 'behind'])
        await world.look.rows('delete from author where id > 1')
      }
    })
  }

  test('a write from outside is refused while one that only reads is under way', async ({ orm, look }) => {
    await runs(orm, {}, async (em) => {
      await em.transactional(async (inner: Em) => {
        assert.instance(await rejection(add(em, 'beside')), ReadOnlyTransactionError)
        assert.is(await inner.count(Author), 1)
      }, READ_ONLY)
    })
    assert.equal(await authorNames(look), ['first'])
  })

  test('where there is no savepoint to read in, readOnly is refused', async ({ orm, look }) => {
    const reads = (em: Em, options: object): Promise<unknown> =>
      rejection(em.transactional((inner: Em) => inner.count(Author), options))
    await runs(orm, {}, async (em) => {
      for (const propagation of ['supports', 'mandatory']) {
        assert.instance(await reads(em, { ...READ_ONLY, propagation }), TransactionOptionsError)
      }
      await em.transactional(async (inner: Em) => {
        assert.is(
          await inner.transactional((same: Em) => same.count(Author), { ...READ_ONLY, propagation: 'supports' }),
          1,
        )
      }, READ_ONLY)
      const ignoring = async (inner: Em): Promise<void> => {
        assert.instance(await reads(inner, READ_ONLY), TransactionOptionsError)
      }
      await em.transactional(ignoring, { ignoreNestedTransactions: true })
    })
    await runs(orm, { commit: 'autocommit' }, async (em) => {
      await em.transactional(async (inner: Em) => {
        assert.instance(await reads(inner, READ_ONLY), TransactionOptionsError)
      })
      if (dialect === 'sqlite') assert.instance(await reads(em, READ_ONLY), TransactionOptionsError)
      else
        assert.is(((await rejection(em.transactional((inner: Em) => add(inner, 'x'), READ_ONLY))) as Em).code, '25006')
    })
    assert.equal(await authorNames(look), ['first'])
  })

  test('roles that only read have it already', async ({ orm }) => {
    for (const readOnly of [true, 'snapshot'] as const) {
      const count = (em: Em): Promise<number> => em.transactional((inner: Em) => inner.count(Author), READ_ONLY)
      assert.is(await runs(orm, { readOnly }, count), 1)
    }
  })

  test('em.begin() of the program makes its transaction one that only reads, until its end', async ({ orm, look }) => {
    const registry = new EngineRegistry<any>({ writer: { orm } })
    await using em: Em = registry.session('writer')
    await em.begin(READ_ONLY)
    assert.is(await em.count(Author), 1)
    await em.begin(READ_ONLY)
    assert.instance(await rejection(add(em, 'x')), ReadOnlyTransactionError)
    await em.rollback()
    await em.insert(Author, { id: 9, name: 'in the next' })
    assert.instance(await rejection(em.begin(READ_ONLY)), TransactionOptionsError)
    await em.commit()
    assert.equal(await authorNames(look), ['first', 'in the next'])
  })

  test('a level that does not exist is refused with those that do', async ({ orm }) => {
    for (const role of [{}, { commit: 'autocommit' }] as const) {
      for (const isolationLevel of ['snapshot', 'SERIALIZABLE', 'serializable; drop table author']) {
        const error = await rejection(runs(orm, role, (em) => em.transactional(() => 1, { isolationLevel })))
        assert.instance(error, TransactionOptionsError)
        assert.match(error.message, /'repeatable read', 'serializable'/)
      }
    }
  })

  test('the statements of a role that reads each alone have no level in common', async ({ orm }) => {
    const asking = (isolationLevel: string) => (em: Em) =>
      em.transactional((inner: Em) => inner.count(Author), { isolationLevel })
    assert.is(await runs(orm, { readOnly: true }, asking('read committed')), 1)
    const error = await rejection(runs(orm, { readOnly: true }, asking('serializable')))
    assert.instance(error, TransactionOptionsError)
    assert.match(error.message, /'snapshot'/)
  })

  test('em.transactional() has the level that it asks for where nothing was sent before', async ({ orm }) => {
    for (const disabled of [false, true]) {
      for (const role of [{}, { commit: 'autonomous' }, { isolationLevel: 'read committed' }] as const) {
        const level = await runs(orm, role, (em) => em.transactional(levelOf, SERIALIZABLE), disabled)
        assert.is(level, 'serializable')
      }
    }
    assert.is(
      await runs(orm, { commit: 'autocommit' }, (em) => em.transactional(levelOf, SERIALIZABLE)),
      'serializable',
    )
  })
  const levelOf = async (em: Em): Promise<string> => {
    if (dialect === 'sqlite') return (await em.count(Author)) > 0 ? 'serializable' : ''
    return (await em.execute('show transaction_isolation'))[0].transaction_isolation
  }

  if (dialect === 'postgresql') {
    test('a level that the transaction does not have is refused, and one that it has is not', async ({ orm, look }) => {
      const cases: readonly [Role, (em: Em) => unknown, level: string, isRefused: boolean][] = [
        [{}, (em) => em.count(Author), 'serializable', true],
        [{}, (em) => em.count(Author), 'read committed', false],
        [{}, (em) => add(em, 'x'), 'repeatable read', true],
        [{ isolationLevel: 'serializable' }, () => undefined, 'repeatable read', true],
        [{ isolationLevel: 'serializable' }, (em) => em.count(Author), 'serializable', false],
        [{ readOnly: 'snapshot' }, () => undefined, 'serializable', true],
        [{ readOnly: 'snapshot' }, () => undefined, 'repeatable read', false],
        [{}, (em) => em.execute('set transaction isolation level repeatable read'), 'repeatable read', false],
        [{}, (em) => em.execute('set transaction isolation level repeatable read'), 'read committed', true],
      ]
      for (const [role, first, isolationLevel, isRefused] of cases) {
        await runs(orm, role, async (em) => {
          await first(em)
          const asked = em.transactional((inner: Em) => inner.count(Author), { isolationLevel })
          if (isRefused) assert.instance(await rejection(asked), TransactionOptionsError)
          else await asked
          await em.count(Author)
        })
      }
      assert.equal(await authorNames(look), ['first', 'x'])
    })

    test('what is inside has the level of what is around it, or is refused', async ({ orm }) => {
      for (const role of [{}, { commit: 'autocommit' }] as const) {
        await runs(orm, role, async (em) => {
          const inner = (isolationLevel: string) => em.transactional(levelOf, { isolationLevel })
          await em.transactional(async () => {
            if (!('commit' in role)) assert.is(await inner('serializable'), 'serializable')
            assert.instance(await rejection(inner('repeatable read')), TransactionOptionsError)
          }, SERIALIZABLE)
        })
      }
    })

    test('em.begin() of the program has the level until its end, on the primary, and after it the default', async ({
      orm,
    }) => {
      const registry = new EngineRegistry<any>({ writer: { orm } })
      await using em: Em = registry.session('writer')
      await em.begin({ ...SERIALIZABLE, ...READ_ONLY })
      assert.equal(
        await em.execute(
          `select current_setting('transaction_isolation') || current_setting('transaction_read_only') as x`,
        ),
        [{ x: 'serializableon' }],
      )
      assert.instance(await rejection(em.begin({ isolationLevel: 'repeatable read' })), TransactionOptionsError)
      await em.commit()
      assert.is(await levelOf(em), 'read committed')
    })

    test('the server keeps a nested transaction to reading, also from a function', async ({ orm, look }) => {
      await look.rows(`create function hides() returns int language plpgsql as
        $$ begin insert into author (name) values ('hidden'); return 1; end $$`)
      const ways: ((em: Em) => unknown)[] = [
        (em) => em.execute('select hides()'),
        (em) => em.execute('select lo_create(0)'),
        async (em) => {
          for await (const _ of em
            .getKysely()
            .selectNoFrom((eb: any) => eb.fn('hides', []).as('x'))
            .stream())
            continue
        },
        async (em) => {
          assert.is(((await rejection(em.execute('set transaction read write'))) as Em).code, '25001')
          throw new ReadOnlyTransactionError('writer', 'it was refused')
        },
      ]
      for (const way of ways) {
        for (const isFirst of [true, false]) {
          await runs(orm, { rawWrites: 'commit' }, async (em) => {
            if (!isFirst) await em.execute('select 1')
            const error = await rejection(em.transactional(way, READ_ONLY))
            assert.instance(error, ReadOnlyTransactionError, String(error))
            await em.execute('select 1')
          })
        }
      }
      assert.equal(await authorNames(look), ['first'])
    })
  }

  test.run()
}
