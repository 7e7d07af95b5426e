/** SQLite ends a transaction after some errors; what comes later must not run in autocommit. */
import * as assert from 'uvu/assert'
import { EngineRegistry, TransactionAbortedError } from '../../source/index.ts'
import { databaseSuite } from '../support/database-suite.ts'
import { Author, Book } from '../support/entities.ts'
import type { TestOrm } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'

type Em = any

const test = databaseSuite('a transaction that SQLite has ended', 'sqlite')

test.before(async (world) => {
  await world.look.rows(`create trigger no_bad before insert on author when new.name = 'bad'
    begin select raise(rollback, 'no bad names'); end`)
})

const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code

/** What makes SQLite roll back. */
const ENDINGS: Readonly<Record<string, (em: Em) => Promise<unknown>>> = {
  'RAISE(ROLLBACK)': (em) => em.insert(Author, { name: 'bad' }),
  'ON CONFLICT ROLLBACK': (em) =>
    em.execute(`insert or rollback into author (id, name) select id, 'again' from author limit 1`),
  'a flush with RAISE(ROLLBACK) in it': (em) => {
    em.create(Author, { name: 'bad' })
    return em.flush().finally(() => em.clear())
  },
}

/** What would run in autocommit. */
const LATER: Readonly<Record<string, (em: Em, txn?: Em) => Promise<unknown>>> = {
  'an insert': (em) => em.insert(Author, { name: 'later' }),
  'raw SQL': (em) => em.execute(`insert into author (name) values ('later')`),
  'a flush': (em) => {
    em.create(Author, { name: 'later' })
    return em.flush()
  },
  Kysely: (em) => em.getKysely().insertInto('author').values({ name: 'later' }).execute(),
  'a read': (em) => em.find(Author, {}),
  'a stream': (em) => Array.fromAsync(em.stream(Book)),
  'em.transactional()': (em) => em.transactional((nested: Em) => nested.insert(Author, { name: 'later' })),
}

/** Runs `work` with a session of a role. @throws what the end throws */
type Mode = (orm: TestOrm, work: (em: Em, txn?: Em) => Promise<void>) => Promise<unknown>

const unit = (options: object, registryOptions: object = {}): Mode => {
  return (orm, work) =>
    new EngineRegistry<any>({ writer: { orm, ...options } }, registryOptions).run(({ dbSession, txn }: Em) =>
      work(dbSession.writer, txn),
    )
}
const MODES: Readonly<Record<string, Mode>> = {
  'a joined role': unit({}),
  'an autonomous role': unit({ commit: 'autonomous' }),
  'disabled transactions': unit({}, { disableTransaction: true }),
  async 'registry.session()'(orm, work) {
    const em: Em = new EngineRegistry({ writer: orm }).session('writer')
    try {
      await work(em)
      await em.commit()
    } finally {
      await em.close()
    }
  },
}

for (const [mode, run] of Object.entries(MODES)) {
  for (const [ending, end] of Object.entries(ENDINGS)) {
    test(`by ${ending}, in ${mode}: everything later is refused, the end fails, and nothing is stored`, async (world) => {
      let first: unknown
      const failure = await rejection(
        run(world.orm, async (em) => {
          await em.insert(Author, { name: 'first' })
          first = await rejection(end(em))
          for (const [later, send] of Object.entries(LATER)) {
            const refusal = await rejection(send(em))
            assert.instance(refusal, TransactionAbortedError, later)
            assert.is(codeOf(refusal.cause), codeOf(first), later)
          }
        }),
      )
      assert.instance(failure, TransactionAbortedError)
      assert.equal(await world.look.rows('select name from author'), [])
    })
  }
}

test('inside em.transactional(): its rollback is refused, and so is what comes after it', async ({ orm, look }) => {
  const failure = await rejection(
    new EngineRegistry({ writer: orm }).run(async ({ dbSession }) => {
      const em: Em = dbSession.writer
      await em.insert(Author, { name: 'first' })
      await rejection(em.transactional((nested: Em) => nested.insert(Author, { name: 'bad' })))
      assert.instance(await rejection(em.insert(Author, { name: 'later' })), TransactionAbortedError)
    }),
  )
  assert.instance(failure, TransactionAbortedError)
  assert.equal(await look.rows('select name from author'), [])
})

test('after a savepoint: going back to it is refused, and so is a new one', async ({ orm, look }) => {
  const failure = await rejection(
    new EngineRegistry({ writer: orm }).run(async ({ dbSession, txn }) => {
      const em: Em = dbSession.writer
      await em.insert(Author, { name: 'first' })
      const savepoint = await txn.savepoint()
      await rejection(em.insert(Author, { name: 'bad' }))
      assert.instance(await rejection(savepoint.rollback()), TransactionAbortedError)
      await rejection(txn.savepoint())
      await rejection(em.insert(Author, { name: 'later' }))
    }),
  )
  assert.ok(failure instanceof Error)
  assert.equal(await look.rows('select name from author'), [])
})

test('an error that SQLite undoes alone ends nothing', async ({ orm, look }) => {
  await new EngineRegistry({ writer: orm }).run(async ({ dbSession }) => {
    const em: Em = dbSession.writer
    await em.insert(Book, { title: 'same' })
    await rejection(em.transactional((nested: Em) => nested.insert(Book, { title: 'same' })))
    await em.insert(Author, { name: 'kept' })
  })
  assert.equal(await look.rows('select name from author'), [{ name: 'kept' }])
})

test.run()
