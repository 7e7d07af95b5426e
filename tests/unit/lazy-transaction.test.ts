import * as assert from 'uvu/assert'
import { channel } from 'node:diagnostics_channel'
import Koa, { type Context } from 'koa'
import { dbSessions, EngineRegistry, ReadOnlySessionError, TransactionManager } from '../../source/index.ts'
import { Author } from '../support/entities.ts'
import { serve } from '../support/http.ts'
import { openDatabase, openOrm, type TestOrm } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { suite } from '../support/suite.ts'

type Database = Awaited<ReturnType<typeof openDatabase>>
interface World {
  database: Database
  reader: TestOrm
  registry: EngineRegistry<any>
}

const test = suite<World>('a transaction that is begun when it is asked for')

test.before(async (world) => {
  world.database = await openDatabase('postgresql')
  world.reader = await openOrm(world.database.target)
  world.registry = new EngineRegistry({
    writer: world.database.orm,
    reader: { orm: world.reader, readOnly: true },
  })
  await world.database.look.rows(`insert into author (id, name) values (1, 'Ada')`)
})
test.after(async ({ database, reader }) => {
  await reader.close()
  await database.close()
})

/** How many transactions were begun while `work` ran. */
async function begun(work: () => Promise<unknown>): Promise<number> {
  let count = 0
  const note = (): void => void count++
  const begin = channel('sqlassist:transaction:begin')
  begin.subscribe(note)
  try {
    await work()
  } finally {
    begin.unsubscribe(note)
  }
  return count
}

/** One request by `handler`. */
async function request({ registry }: World, handler: (ctx: Context) => unknown, options = {}): Promise<void> {
  const app = new Koa()
  app.use(dbSessions(registry, options))
  app.use(async (ctx) => {
    await handler(ctx)
    ctx.status = 204
  })
  const served = await serve(app)
  const { status } = await served.request('GET', '/path')
  await served.close()
  assert.is(status, 204, served.errors.join())
}

test('a request that opens nothing, or only reads on a read-only role, has no transaction', async (world) => {
  assert.is(await begun(() => request(world, () => undefined)), 0)
  assert.is(await begun(() => request(world, ({ dbSession }) => dbSession.reader.findOne(Author, 1))), 0)
  assert.is(await begun(() => world.registry.run(({ dbSession }: any) => dbSession.reader.count(Author))), 0)
})

test('a transaction asked for by any of its names is begun, once, and noted', async (world) => {
  const asking: ((ctx: Context) => unknown)[] = [
    (ctx) => ctx.txn,
    (ctx) => ctx.tm.get(),
    (ctx) => ctx.dbSession.writer,
    (ctx) => (ctx.tm === ctx.tm ? ctx.txn : undefined),
  ]
  for (const ask of asking) {
    const handler = (ctx: Context): void => {
      ask(ctx)
      assert.is(ctx.txn, ctx.tm.get())
      assert.is(ctx.txn.description, 'GET /path')
      assert.is(ctx.txn.status, 'Active')
    }
    assert.is(await begun(() => request(world, handler)), 1)
  }
  await world.registry.run(async function nightly({ tm, txn }) {
    assert.is(txn.description, 'nightly')
    assert.is((await rejection(tm.begin())).name, 'AlreadyInTransactionError')
  })
})

test('a transaction is committed or aborted with its request, also when it was asked for late', async (world) => {
  const ends: unknown[] = []
  const late = async ({ txn }: { txn: any }): Promise<void> => {
    await Promise.resolve()
    txn.addAfterCommitHook((committed: boolean) => ends.push(committed))
    txn.addAfterAbortHook(() => ends.push('aborted'))
  }
  await request(world, late as never)
  await world.registry.run(late as never)
  await rejection(world.registry.run(async (context) => (await late(context as never), assert.unreachable())))
  assert.equal(ends, [true, true, 'aborted'])
})

test('a manager of the program, and its synchronizers, are called for every request', async (world) => {
  const told: string[] = []
  const synchronizer = {
    newTransaction: () => void told.push('new'),
    beforeCompletion: () => void told.push('before'),
    afterCompletion: () => void told.push('after'),
  }
  const manager = (): TransactionManager => {
    const tm = new TransactionManager({ explicit: true })
    void tm.registerSynch(synchronizer)
    return tm
  }
  await request(world, () => undefined, { manager })
  assert.equal(told, ['new', 'before', 'after'])
})

test('annotate is given the transaction before the handler runs', async (world) => {
  const seen: string[] = []
  const annotate = async (_: Context, txn: any): Promise<void> => void txn.note('mine')
  await request(world, ({ txn }) => seen.push(txn.description), { annotate })
  assert.equal(seen, ['mine'])
})

const change = async (dbSession: any): Promise<void> => {
  const author = await dbSession.reader.findOne(Author, 1)
  author.name = 'changed'
}

test('a change through a read-only role fails a commit that would go on', async ({ registry, database }) => {
  const error = await rejection(
    registry.run(async ({ dbSession }) => {
      await change(dbSession)
      ;(dbSession.writer as any).create(Author, { name: 'beside' })
    }),
  )
  assert.instance(error, ReadOnlySessionError)
  assert.is(await database.look.value(`select count(*) from author where name <> 'Ada'`), 0)
})

test('a change through a read-only role fails a run that did nothing else', async ({ registry }) => {
  assert.instance(await rejection(registry.run(({ dbSession }) => change(dbSession))), ReadOnlySessionError)
})

test('a change through a read-only role fails a run that had committed, and not one that had aborted', async ({
  registry,
}) => {
  const error = await rejection(
    registry.run(async ({ dbSession, txn }) => {
      await change(dbSession)
      await txn.commit()
    }),
  )
  assert.instance(error, ReadOnlySessionError)
  await registry.run(async ({ dbSession, txn }) => {
    await change(dbSession)
    await txn.abort()
  })
})

test('the ORM is left as it was: its forks are of its own class, and the constructor of its entity manager too', async (world) => {
  const { em } = world.reader
  await world.registry.run(({ dbSession }: any) => {
    assert.ok(dbSession.reader instanceof em.constructor)
    assert.is.not(dbSession.reader.constructor, em.constructor)
  })
  assert.is(em.fork().constructor, em.constructor)
  assert.is(Object.getPrototypeOf(em.fork()), Object.getPrototypeOf(em))
})

test.run()
