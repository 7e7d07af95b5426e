/** What is still under way when a unit of work ends: what was answered as done is stored, or the unit fails. */
import * as assert from 'uvu/assert'
import type { EngineOptions, EngineRegistryOptions } from '../../source/index.ts'
import { EngineRegistry } from '../../source/index.ts'
import { authorNames, clearTables } from '../support/authors.ts'
import { databaseSuite, type DatabaseWorld } from '../support/database-suite.ts'
import { Author, Book, Tag } from '../support/entities.ts'
import { DIALECTS, openDatabase, openOrm } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import type { SecondLook } from '../support/second-look.ts'
import { suite } from '../support/suite.ts'
import { openWired } from '../support/wired.ts'

/** The ways in which a session is committed. */
const MODES: readonly [string, Partial<EngineOptions>, EngineRegistryOptions][] = [
  ['joined', {}, {}],
  ['pipelined', { pipelineCommit: true }, {}],
  ['autonomous', { commit: 'autonomous' }, {}],
  ['disabled', {}, { disableTransaction: true }],
]

/** How a promise ended. */
async function told(promise: Promise<unknown>): Promise<{ error: any }> {
  return await promise.then(
    () => ({ error: undefined }),
    (error: unknown) => ({ error }),
  )
}

async function titles(look: SecondLook): Promise<unknown[]> {
  return (await look.rows('select title from book order by title')).map(({ title }) => title)
}

for (const dialect of DIALECTS) {
  for (const [mode, engine, options] of MODES.filter(([name]) => dialect === 'postgresql' || name !== 'pipelined')) {
    const test = databaseSuite(`work under way at the end of a unit, ${mode}, on ${dialect}`, dialect)

    const registryOf = ({ orm }: DatabaseWorld) => new EngineRegistry<any>({ writer: { orm, ...engine } }, options)

    test('a first write that nobody awaits is stored when its caller and the unit are answered', async (world) => {
      let insert: Promise<unknown> | undefined
      await registryOf(world).run(({ dbSession }: any) => {
        insert = dbSession.writer.insert(Author, { name: 'forgotten' })
      })
      await insert
      assert.equal(await authorNames(world.look), ['forgotten'])
    })

    test('an insert of many rows that nobody awaits is stored whole', async (world) => {
      await registryOf(world).run(({ dbSession }: any) => {
        void dbSession.writer.insertMany(
          Author,
          ['a', 'b', 'c'].map((name) => ({ name })),
          { batchSize: 1 },
        )
      })
      assert.equal(await authorNames(world.look), ['a', 'b', 'c'])
    })

    test('a flush that nobody awaits and that fails ends the unit with its error, and nothing waits for ever', async (world) => {
      await world.look.rows(`insert into book (title) values ('taken')`)
      const registry = registryOf(world)
      const error: any = await rejection(
        registry.run(({ dbSession: { writer } }: any) => {
          writer.create(Author, { name: 'beside it' })
          writer.create(Book, { title: 'taken' })
          writer.flush().catch(() => undefined)
        }),
      )
      assert.match(`${error} ${error.cause}`, /unique/i)
      assert.equal(await authorNames(world.look), [])
      await registry.run(({ dbSession: { writer } }: any) => void writer.create(Author, { name: 'next' }))
      assert.equal(await authorNames(world.look), ['next'])
    })

    test('flushes queued behind one that fails are answered with an error, and the unit fails', async (world) => {
      let ends: PromiseSettledResult<void>[] = []
      const error = await rejection(
        registryOf(world).run(async ({ dbSession: { writer } }: any) => {
          ends = await Promise.allSettled(
            ['a', 'b', 'a'].map(async (title) => {
              writer.create(Book, { title })
              await writer.flush()
            }),
          )
        }),
      )
      assert.is(ends.filter(({ status }) => status === 'rejected').length > 0, true)
      assert.match(String(error), /SQLASSIST|failed/)
      assert.equal(await titles(world.look), [])
    })

    test('em.transactional() that nobody awaits keeps the unit from being committed', async (world) => {
      const inside = Promise.withResolvers<void>()
      const goOn = Promise.withResolvers<void>()
      let transfer: Promise<unknown> | undefined
      const error: any = await rejection(
        registryOf(world).run(async ({ dbSession: { writer } }: any) => {
          transfer = told(
            writer.transactional(async (em: any) => {
              await em.insert(Author, { name: 'debit' })
              inside.resolve()
              await goOn.promise
              await em.insert(Author, { name: 'credit' })
            }),
          )
          await inside.promise
        }),
      )
      goOn.resolve()
      assert.is(error.code, 'SQLASSIST_NESTED_TRANSACTION_OPEN')
      assert.is(((await transfer) as any).error.code, 'SQLASSIST_SESSION_ENDED')
      assert.equal(await authorNames(world.look), [])
    })

    test('a write beside em.transactional() that fails is not lost without a word', async (world) => {
      const inside = Promise.withResolvers<void>()
      const written = Promise.withResolvers<void>()
      const error: any = await rejection(
        registryOf(world).run(async ({ dbSession: { writer } }: any) => {
          const nested = told(
            writer.transactional(async (em: any) => {
              await em.insert(Author, { name: 'inside' })
              inside.resolve()
              await written.promise
              throw new RangeError('undo')
            }),
          )
          await inside.promise
          await writer.insert(Author, { name: 'beside' })
          written.resolve()
          await nested
        }),
      )
      assert.is(error.cause.code, 'SQLASSIST_UNDONE_FROM_OUTSIDE')
      assert.equal(await authorNames(world.look), [])
    })

    test('what the callback of em.transactional() writes by the outer session is undone with it, and no more', async (world) => {
      await registryOf(world).run(async ({ dbSession: { writer } }: any) => {
        await writer.insert(Author, { name: 'before' })
        await rejection(
          writer.transactional(async () => {
            await writer.insert(Author, { name: 'inside' })
            throw new RangeError('undo')
          }),
        )
      })
      assert.equal(await authorNames(world.look), ['before'])
    })

    test.run()
  }

  const test = databaseSuite(`commits under way on ${dialect}`, dialect)

  test('the outcome of a commit that nobody awaits is the outcome of the unit', async ({ orm, look }) => {
    const registry = new EngineRegistry({ writer: orm })
    await registry.run(async ({ dbSession, txn }: any) => {
      await dbSession.writer.insert(Author, { name: 'paid' })
      txn.commit().catch(() => undefined)
    })
    assert.equal(await authorNames(look), ['paid'])
    const refused = new RangeError('refused')
    const error = await rejection(
      registry.run(async ({ dbSession, txn }: any) => {
        await dbSession.writer.insert(Author, { name: 'not paid' })
        txn.addBeforeCommitHook(async () => {
          throw refused
        })
        txn.commit().catch(() => undefined)
      }),
    )
    assert.is(error, refused)
    assert.equal(await authorNames(look), ['paid'])
  })

  test('an abort that nobody awaits has been carried out when the unit ends', async ({ orm, look }) => {
    await new EngineRegistry({ writer: orm }).run(async ({ dbSession, txn }: any) => {
      await dbSession.writer.insert(Author, { name: 'given up' })
      void txn.abort()
    })
    assert.equal(await authorNames(look), [])
  })

  test('a commit inside em.transactional() is refused, and nothing is stored', async ({ orm, look }) => {
    const error: any = await rejection(
      new EngineRegistry({ writer: orm }).run(async ({ dbSession, txn }: any) => {
        await dbSession.writer.transactional(async (em: any) => {
          await em.insert(Author, { name: 'half' })
          await txn.commit()
        })
      }),
    )
    assert.is(error.code, 'SQLASSIST_NESTED_TRANSACTION_OPEN')
    assert.equal(await authorNames(look), [])
  })

  test('what is written beside em.commit() of a role of its own is in that commit, or in the next', async ({
    orm,
    look,
  }) => {
    const registry = new EngineRegistry<any>({ logger: { orm, commit: 'autonomous' } })
    await registry.run(async ({ dbSession: { logger } }: any) => {
      await Promise.all([logger.commit(), logger.insert(Author, { name: 'beside' })])
      await logger.insert(Author, { name: 'before' })
      await Promise.all([logger.insert(Author, { name: 'first' }), logger.commit()])
    })
    assert.equal((await authorNames(look)).toSorted(), ['before', 'beside', 'first'])
  })

  test('em.commit() beside em.transactional() is refused and loses nothing', async ({ orm, look }) => {
    const registry = new EngineRegistry<any>({ logger: { orm, commit: 'autonomous' } })
    await registry.run(async ({ dbSession: { logger } }: any) => {
      const inside = Promise.withResolvers<void>()
      const goOn = Promise.withResolvers<void>()
      const nested = logger.transactional(async (em: any) => {
        await em.insert(Author, { name: 'nested' })
        inside.resolve()
        await goOn.promise
      })
      await inside.promise
      const { error } = await told(logger.commit())
      assert.is(error?.code, 'SQLASSIST_NESTED_TRANSACTION_OPEN')
      goOn.resolve()
      await nested
    })
    assert.equal(await authorNames(look), ['nested'])
  })

  test('a flush of a hook, inside a flush, is refused by MikroORM and does not wait for itself', async ({ target }) => {
    const seen: unknown[] = []
    let txn: any
    const orm = await openOrm(target, {
      config: {
        subscribers: [
          {
            async afterFlush({ em }: any) {
              if (seen.length > 0) return
              seen.push('called')
              seen.push((await told(em.flush())).error?.message, (await told(txn.commit())).error?.message)
            },
          },
        ],
      },
    })
    await rejection(
      new EngineRegistry({ writer: orm }).run(async (context: any) => {
        txn = context.txn
        context.dbSession.writer.create(Author, { name: 'x' })
        await context.dbSession.writer.flush()
      }),
    )
    assert.is(seen.length, 3)
    for (const message of seen.slice(1)) assert.match(String(message), /inside lifecycle hook/)
    await orm.close(true)
  })

  test('nested em.transactional() has an end where MikroORM ignores nested transactions', async ({ target, look }) => {
    const nest = async (em: any, levels: number, options?: object): Promise<unknown> =>
      levels === 0
        ? em.create(Author, { name: `of ${JSON.stringify(options)}` })
        : await em.transactional((inner: any) => nest(inner, levels - 1, options), options)
    for (const config of [{}, { disableTransactions: true }]) {
      for (const options of [undefined, { ignoreNestedTransactions: true }]) {
        const orm = await openOrm(target, { config })
        await new EngineRegistry({ writer: orm }).run(
          async ({ dbSession }: any) => await nest(dbSession.writer, 3, options),
        )
        await orm.close(true)
      }
    }
    assert.is((await authorNames(look)).length, 4)
  })

  test.run()
}

interface TwoRoles {
  shop: DatabaseWorld
  log: DatabaseWorld
}

for (const dialect of DIALECTS) {
  const test = suite<TwoRoles>(`what comes up while a transaction is committed, on ${dialect}`)
  let onCreate: ((entity: any) => void) | undefined
  const subscriber = { afterCreate: async ({ entity }: any) => onCreate?.(entity) }

  test.before(async (world) => {
    world.shop = await openDatabase(dialect, { config: { subscribers: [subscriber] } })
    world.log = await openDatabase(dialect, { config: { subscribers: [subscriber] } })
  })
  test.before.each(async ({ shop, log }) => {
    await clearTables(shop.look, log.look)
  })
  test.after(async ({ shop, log }) => {
    onCreate = undefined
    await shop.close()
    await log.close()
  })

  test('what a subscriber creates through another open role is stored, also where that was flushed already', async ({
    shop,
    log,
  }) => {
    await new EngineRegistry<any>({ audit: log.orm, writer: { orm: shop.orm, default: true } }).run(
      async ({ dbSession: { audit, writer } }: any) => {
        onCreate = (entity) => entity.name === 'sold' && audit.create(Author, { name: 'created' })
        await audit.count(Author)
        writer.create(Author, { name: 'sold' })
      },
    )
    assert.equal([await authorNames(shop.look), await authorNames(log.look)], [['sold'], ['created']])
  })

  test('what a subscriber creates, or removes, through the same role while that is flushed is stored', async ({
    shop,
  }) => {
    await shop.look.rows(`insert into author (name) values ('removed')`)
    await new EngineRegistry<any>({ writer: shop.orm }).run(async ({ dbSession: { writer } }: any) => {
      const removed = await writer.findOneOrFail(Author, { name: 'removed' })
      onCreate = (entity) => {
        if (entity.name !== 'first') return
        writer.create(Author, { name: 'second' })
        writer.remove(removed)
      }
      writer.create(Author, { name: 'first' })
    })
    assert.equal(await authorNames(shop.look), ['first', 'second'])
  })

  test('what the program creates while a flush is under way is stored', async ({ shop }) => {
    onCreate = undefined
    await new EngineRegistry<any>({ writer: shop.orm }).run(async ({ dbSession: { writer } }: any) => {
      writer.create(Author, { name: 'first' })
      const flushing = writer.flush()
      writer.create(Author, { name: 'second' })
      await flushing
    })
    assert.equal(await authorNames(shop.look), ['first', 'second'])
  })

  test('what a data manager creates in its commit() or in its vote is stored', async ({ shop }) => {
    onCreate = undefined
    await new EngineRegistry<any>({ writer: shop.orm }).run(async ({ dbSession: { writer }, txn }: any) => {
      await writer.count(Author)
      const add = (name: string) => void writer.create(Author, { name })
      const nothing = (): void => undefined
      const rest = { tpcBegin: nothing, tpcFinish: nothing, tpcAbort: nothing, abort: nothing }
      txn.join({ ...rest, sortKey: () => 'queue', commit: () => add('in commit'), tpcVote: () => add('in vote') })
    })
    assert.equal(await authorNames(shop.look), ['in commit', 'in vote'])
  })

  test('subscribers that create something in each flush of the other role end in an error, and nothing is stored', async ({
    shop,
    log,
  }) => {
    const error: any = await rejection(
      new EngineRegistry<any>({ audit: log.orm, writer: { orm: shop.orm, default: true } }).run(
        async ({ dbSession: { audit, writer } }: any) => {
          onCreate = (entity) =>
            entity.name === 'ping' ? audit.create(Tag, { label: 'pong' }) : writer.create(Author, { name: 'ping' })
          await audit.count(Tag)
          writer.create(Author, { name: 'ping' })
        },
      ),
    )
    assert.is(error.code, 'SQLASSIST_ENDLESS_FLUSH')
    assert.equal([await authorNames(shop.look), (await log.look.rows('select id from tag')).length], [[], 0])
  })

  test.run()
}

const locks = suite('locks of a session that wrote nothing')

const HOLDING: Readonly<Record<string, (em: any) => Promise<unknown>>> = {
  'an advisory lock': (em) => em.execute('select pg_advisory_xact_lock(42)'),
  'a lock that was tried, by Kysely': (em) =>
    em
      .getKysely()
      .selectNoFrom((eb: any) => eb.fn('pg_try_advisory_xact_lock', [eb.val(42)]).as('l'))
      .execute(),
  'rows locked by em.find': (em) => em.transactional((inner: any) => inner.find(Author, {}, { lockMode: 4 })),
  'a table': (em) => em.execute('lock table author in exclusive mode'),
}

for (const [what, take] of Object.entries(HOLDING)) {
  for (const engine of [{}, { commit: 'autonomous' }, { readOnly: 'snapshot' }] as const) {
    if ('readOnly' in engine && what !== 'an advisory lock') continue
    locks(`${what} is free when the unit is over: ${JSON.stringify(engine)}`, async () => {
      const { orm, wire, close } = await openWired()
      const registry = new EngineRegistry<any>({ writer: { orm, ...engine } })
      const held = wire.hold(/\brollback$/i, 'request')
      let over = false
      const run = registry.run(({ dbSession }: any) => take(dbSession.writer)).then(() => (over = true))
      await held.reached
      assert.is(over, false)
      held.release()
      await run
      await registry.close()
      await close()
    })
  }
}

locks('the rollback of plain reads is not waited for', async () => {
  const { orm, wire, close } = await openWired()
  const registry = new EngineRegistry<any>({ writer: { orm } })
  const held = wire.hold(/\brollback$/i, 'request')
  await registry.run(async ({ dbSession: { writer } }: any) => {
    await writer.find(Author, { name: { $in: ['a', 'b'] } }, { populate: ['books'] })
    await writer.count(Author)
  })
  await held.reached
  held.release()
  await registry.close()
  await close()
})

locks.run()
