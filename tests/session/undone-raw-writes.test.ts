/** Raw SQL that wrote and was undone again is no undeclared write; what stays of it is one. */
import * as assert from 'uvu/assert'
import { EngineRegistry, type EngineOptions } from '../../source/index.ts'
import { databaseSuite } from '../support/database-suite.ts'
import { Author } from '../support/entities.ts'
import { DIALECTS } from '../support/orms.ts'
import { warnings } from '../support/warnings.ts'

type Em = any

const write = (name: string) => `insert into author (name) values ('${name}')`

/** A nested transaction whose callback fails behind `work`. */
async function undone(em: Em, work: (own: Em) => unknown): Promise<void> {
  const failing = em.transactional(async (own: Em) => {
    await work(own)
    throw new RangeError('undo')
  })
  await failing.catch((error: unknown) => assert.instance(error, RangeError))
}

const CALL = 'select write_hidden()'
type Way = (em: Em) => Promise<unknown>
const UNDONE: Readonly<Record<string, Way>> = {
  'by em.transactional()': (em) => undone(em, (own) => own.execute(write('x'))),
  'by em.transactional(), written by the outer entity manager': (em) => undone(em, () => em.execute(write('x'))),
  'by an inner em.transactional()': (em) =>
    em.transactional((own: Em) => undone(own, (inner) => inner.execute(write('x')))),
  'by an outer em.transactional()': (em) =>
    undone(em, (own) => own.transactional((inner: Em) => inner.execute(write('x')))),
  'between raw SQL that reads': async (em) => {
    await em.execute('select 1')
    await undone(em, (own) => own.execute(write('x')))
    await em.execute('select 2')
  },
  'by a savepoint of the program': async (em) => {
    await em.execute('savepoint mine')
    await em.execute(write('x'))
    await em.execute('rollback to savepoint MINE')
  },
  'by the outer one of two savepoints of the program, twice': async (em) => {
    await em.execute('savepoint "outer"')
    for (let i = 0; i < 2; i++) {
      await em.execute('savepoint inside')
      await em.execute(write('x'))
      await em.execute('rollback to "outer"')
    }
  },
  'with em.rollback()': async (em) => {
    await em.execute(write('x'))
    await em.rollback()
  },
}
const KEPT: Readonly<Record<string, Way>> = {
  'in em.transactional()': (em) => em.transactional((own: Em) => own.execute(write('x'))),
  'before one that is undone': async (em) => {
    await em.execute(write('x'))
    await undone(em, (own) => own.execute(write('y')))
  },
  'behind one that is undone': async (em) => {
    await undone(em, (own) => own.execute(write('y')))
    await em.execute(write('x'))
  },
  'in a savepoint of the program that was released': async (em) => {
    await em.execute('savepoint mine')
    await em.execute(write('x'))
    await em.execute('release savepoint mine')
  },
  'before a savepoint of the program': async (em) => {
    await em.execute('savepoint outside')
    await em.execute(write('x'))
    await em.execute('savepoint mine')
    await em.execute(write('y'))
    await em.execute('rollback to mine')
  },
}
/** PostgreSQL alone has functions that write. */
const UNDONE_FUNCTION: Readonly<Record<string, Way>> = {
  'as a function': (em) => undone(em, (own) => own.execute(CALL)),
}
const KEPT_FUNCTION: Readonly<Record<string, Way>> = {
  'by a function before what is undone': async (em) => {
    await em.execute(CALL)
    await undone(em, (own) => own.execute(write('y')))
  },
  'by a function behind what is undone': async (em) => {
    await undone(em, (own) => own.execute(write('y')))
    await em.execute(CALL)
  },
}
const MODES: Readonly<Record<string, [Omit<EngineOptions, 'orm'>, object]>> = {
  'a joined role': [{}, {}],
  'a role without transactions': [{}, { disableTransaction: true }],
  'an autonomous role': [{ commit: 'autonomous' }, {}],
}

for (const dialect of DIALECTS) {
  const test = databaseSuite(`raw writes on ${dialect}`, dialect)
  const isPostgres = dialect === 'postgresql'

  test.before(async ({ look }) => {
    if (!isPostgres) return
    await look.rows(`create function write_hidden() returns void language sql as $$ ${write('hidden')} $$`)
  })

  for (const [mode, [options, registryOptions]] of Object.entries(MODES)) {
    const runWith = (orm: Em, rawWrites: 'error' | 'rollback', work: Way): Promise<unknown> => {
      const registry = new EngineRegistry<any>({ writer: { orm, rawWrites, ...options } }, registryOptions)
      return registry.run(({ dbSession }: Em) => work(dbSession.writer))
    }
    for (const [how, work] of Object.entries({ ...UNDONE, ...(isPostgres ? UNDONE_FUNCTION : {}) })) {
      test(`${mode} has nothing to declare of what was undone ${how}`, async ({ orm, look }) => {
        const seen = await warnings('SQLASSIST_UNMARKED_WRITE', async () => {
          await runWith(orm, 'error', work)
          await runWith(orm, 'rollback', work)
        })
        assert.is(seen.length, 0)
        assert.is(await look.value('select count(*) from author'), 0)
      })
    }
    for (const [where, work] of Object.entries({ ...KEPT, ...(isPostgres ? KEPT_FUNCTION : {}) })) {
      test(`${mode} has to declare what was written ${where}`, async ({ orm, look }) => {
        const error: Em = await runWith(orm, 'error', work).catch((thrown: unknown) => thrown)
        assert.is(error?.code, 'SQLASSIST_UNMARKED_WRITE')
        const seen = await warnings('SQLASSIST_UNMARKED_WRITE', async () => void (await runWith(orm, 'rollback', work)))
        assert.is.not(seen.length, 0)
        assert.is(await look.value('select count(*) from author'), 0)
      })
    }
  }

  test('the rest of the work is committed beside what was undone', async ({ orm, look }) => {
    await new EngineRegistry({ writer: { orm, rawWrites: 'error' } }).run(async ({ dbSession }: Em) => {
      for (const way of Object.values(UNDONE).slice(0, -1)) await way(dbSession.writer)
      await dbSession.writer.insert(Author, { name: 'kept' })
    })
    assert.equal(await look.rows('select name from author'), [{ name: 'kept' }])
  })

  test('a session of the registry commits when its raw writes are undone', async ({ orm }) => {
    await using em: Em = new EngineRegistry({ writer: { orm, rawWrites: 'error' } }).session('writer')
    for (const way of Object.values(UNDONE)) {
      await way(em)
      await em.commit()
    }
  })

  test.run()
}
