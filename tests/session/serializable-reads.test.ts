/** Reads of a serializable transaction of PostgreSQL's hold only once it is committed, so that it is, before the answer. */
import type { SqlEntityManager } from '@mikro-orm/sql'
import * as assert from 'uvu/assert'
import {
  ConnectionLostError,
  EngineRegistry,
  isRetryable,
  TransactionAbortedError,
  type EngineOptions,
} from '../../source/index.ts'
import { authorNames } from '../support/authors.ts'
import { databaseSuite, type DatabaseWorld } from '../support/database-suite.ts'
import { Author, Book } from '../support/entities.ts'
import { openOrm, type TestOrm } from '../support/orms.ts'
import { recordStatements } from '../support/recording.ts'
import { rejection } from '../support/rejection.ts'
import { secondLook } from '../support/second-look.ts'
import { warnings } from '../support/warnings.ts'

type Em = any

const SERIALIZABLE = { isolationLevel: 'serializable' } as const
const RAISED = 'set transaction isolation level serializable'

const test = databaseSuite('reads of serializable transactions', 'postgresql')
test.before(async ({ look }) => {
  await look.rows(`create function hidden() returns int language plpgsql as
    $$ begin insert into author (name) values ('hidden'); return 1; end $$`)
})

/** The batch that is open, and the receipts in the first one. */
async function report(em: Em): Promise<void> {
  await em.find(Author, {})
  await em.find(Book, {})
}

interface Way {
  readonly engine?: Omit<EngineOptions, 'orm'>
  readonly disabled?: boolean
  readonly run: (registry: EngineRegistry<any>) => Promise<unknown>
}

const inRun =
  (work: (em: Em) => unknown) =>
  (registry: EngineRegistry<any>): Promise<unknown> =>
    registry.run(({ dbSession }: any) => work(dbSession.report))

const WAYS: Readonly<Record<string, Way>> = {
  'a joined role': { engine: SERIALIZABLE, run: inRun(report) },
  'a joined role with pipelineCommit': { engine: { ...SERIALIZABLE, pipelineCommit: true }, run: inRun(report) },
  'an autonomous role': { engine: { ...SERIALIZABLE, commit: 'autonomous' }, run: inRun(report) },
  'a role that reads each statement alone': {
    engine: { ...SERIALIZABLE, readOnly: true },
    run: inRun((em) => em.execute('select (select name from author), (select count(*) from book)')),
  },
  'disabled transactions': { engine: SERIALIZABLE, disabled: true, run: inRun(report) },
  'raw SQL': {
    engine: SERIALIZABLE,
    run: inRun(async (em) => {
      await em.execute('select * from author')
      await em.getKysely().selectFrom('book').selectAll().execute()
    }),
  },
  streams: {
    engine: SERIALIZABLE,
    run: inRun(async (em) => {
      for (const entity of [Author, Book]) for await (const _ of em.stream(entity, {})) continue
    }),
  },
  'a nested transaction': { engine: SERIALIZABLE, run: inRun((em) => em.transactional(report)) },
  'a session beside one that writes': {
    engine: SERIALIZABLE,
    run: (registry) =>
      registry.run(async ({ dbSession }: any) => {
        dbSession.writer.create(Author, { id: 7, name: 'beside' })
        await report(dbSession.report)
      }),
  },
  'a session by hand': {
    engine: SERIALIZABLE,
    run: async (registry) => {
      await using em: Em = registry.session('report')
      await report(em)
      await em.commit()
    },
  },
  'a level set by SQL': {
    run: inRun(async (em) => {
      await em.execute(RAISED)
      await report(em)
    }),
  },
  'a level set by SQL behind another statement, in another writing': {
    run: inRun(async (em) => {
      await em.execute(`show lc_messages; /* isolation */ SET Transaction READ ONLY, ISOLATION LEVEL Serializable`)
      await report(em)
    }),
  },
  'a level set by its parameter': {
    run: inRun(async (em) => {
      await em.execute(`set local "transaction_isolation" = 'Serializable'`)
      await report(em)
    }),
  },
  'changes that were undone': {
    engine: SERIALIZABLE,
    run: inRun(async (em) => {
      await rejection(em.transactional((inner: Em) => inner.insert(Author, { name: 'undone' }).then(() => fail())))
      await report(em)
    }),
  },
}

function fail(): never {
  throw new Error('undo it')
}

async function withRegistry(
  { orm, target }: DatabaseWorld,
  { engine, disabled = false }: Pick<Way, 'engine' | 'disabled'>,
  work: (registry: EngineRegistry<any>) => Promise<unknown>,
): Promise<void> {
  const writer = await openOrm(target, { hasSchema: true })
  const options = { disableTransaction: disabled }
  const registry = new EngineRegistry<any>({ report: { orm, ...engine }, writer }, options)
  try {
    await work(registry)
  } finally {
    await registry.close()
  }
}

for (const [name, way] of Object.entries(WAYS)) {
  test(`a report is not made false afterwards: ${name}`, async (world) => {
    const { look, target } = world
    const clerk = await secondLook(target)
    try {
      await look.rows(`insert into author (id, name) values (1, 'batch 1')`)
      await clerk.rows('begin isolation level serializable')
      await clerk.rows('select name from author')
      await look.rows('begin isolation level serializable')
      await look.rows(`update author set name = 'batch 2'`)
      await look.rows('commit')
      await withRegistry(world, way, way.run)
      const late = clerk.rows(`insert into book (id, title) values (1, 'late receipt of batch 1')`)
      const error = await rejection(late.then(() => clerk.rows('commit')))
      assert.is((error as { code?: string }).code, '40001')
    } finally {
      await clerk.close()
    }
  })
}

/** What is undone by its savepoint has left its traces: it cannot stand beside `other`, whose commit came first. */
async function skewed(em: Em, other: () => Promise<unknown>): Promise<number> {
  const count = await em.count(Author)
  const undone = em.transactional(async (inner: Em) => {
    await inner.insert(Author, { name: 'undone' })
    await other()
    fail()
  })
  await rejection(undone)
  return count
}

async function commitOther({ look }: DatabaseWorld): Promise<void> {
  await look.rows('begin isolation level serializable')
  await look.rows('select count(*) from author')
  await look.rows(`insert into author (name) values ('other')`)
  await look.rows('commit')
}

const ENDS: Readonly<Record<string, Way['engine'] & { readonly disabled?: boolean }>> = {
  joined: SERIALIZABLE,
  pipelined: { ...SERIALIZABLE, pipelineCommit: true },
  autonomous: { ...SERIALIZABLE, commit: 'autonomous' },
  disabled: { ...SERIALIZABLE, disabled: true },
}

for (const [name, { disabled = false, ...engine }] of Object.entries(ENDS)) {
  const way = { engine, disabled }

  test(`reads that do not hold fail their run, and are done again with attempts: ${name}`, async (world) => {
    await withRegistry(world, way, async (registry) => {
      const once = registry.run(({ dbSession }: any) => skewed(dbSession.report, () => commitOther(world)))
      const error = await rejection(once)
      assert.is((error as { code?: string }).code, '40001')
      assert.ok(isRetryable(error))

      const tries: number[] = []
      const again = ({ dbSession, tm }: any): Promise<number> => {
        tries.push(tm.attempt)
        return skewed(dbSession.report, async () => (tm.attempt === 1 ? await commitOther(world) : undefined))
      }
      assert.is(await registry.run(again, { attempts: 3 }), 2)
      assert.equal(tries, [1, 2])
    })
  })

  test(`where the reads of one role do not hold, nothing of another is stored: ${name}`, async (world) => {
    await withRegistry(world, way, async (registry) => {
      const beside = registry.run(async ({ dbSession }: any) => {
        dbSession.writer.create(Book, { title: 'beside' })
        await skewed(dbSession.report, () => commitOther(world))
      })
      assert.is(((await rejection(beside)) as { code?: string }).code, '40001')
      assert.is(await world.look.value('select count(*) from book'), 0)
    })
  })
}

test('a session by hand has failed where its reads do not hold', async (world) => {
  await withRegistry(world, { engine: SERIALIZABLE }, async (registry) => {
    await using em: Em = registry.session('report')
    await skewed(em, () => commitOther(world))
    assert.is(((await rejection(em.commit())) as { code?: string }).code, '40001')
    assert.match(String(await rejection(em.count(Author))), /em\.rollback/)
    await em.rollback()
    assert.is(await em.count(Author), 1)
  })
})

test('a statement that failed and was caught takes the validity of the reads before it along', async (world) => {
  for (const [engine, first] of [
    [SERIALIZABLE, 'select 1'],
    [{}, RAISED],
  ] as const) {
    await withRegistry(world, { engine }, async (registry) => {
      const caught = registry.run(async ({ dbSession: { report: em } }: any) => {
        await em.execute(first)
        await em.find(Author, {})
        await rejection(em.execute('select 1 / 0'))
      })
      const error = await rejection(caught)
      assert.instance(error, TransactionAbortedError)
      assert.is((error.cause as any).code, '22012')
      const undone = registry.run(async ({ dbSession: { report: em } }: any) => {
        await em.execute(first)
        await rejection(em.transactional((inner: Em) => inner.execute('select 1 / 0')))
      })
      await undone
    })
  }
})

test('a connection that is lost before its reads are validated is an error worth retrying', async (world) => {
  await withRegistry(world, { engine: SERIALIZABLE }, async (registry) => {
    let tries = 0
    const run = (attempts: number): Promise<void> =>
      registry.run(
        async ({ dbSession: { report: em } }: any) => {
          const [{ pid }] = await em.execute('select pg_backend_pid() as pid')
          if (++tries < 3) await world.look.rows(`select pg_terminate_backend(${pid}, 5000)`)
        },
        { attempts },
      )
    assert.instance(await rejection(run(1)), ConnectionLostError)
    await run(2)
    assert.is(tries, 3)
  })
})

test('what was read is not validated where the work is given up, and nothing hidden is stored', async ({
  orm,
  target,
  look,
}) => {
  const recording = await recordStatements(target)
  const recorded = await openOrm(target, { via: recording.via, hasSchema: true })
  const registry = new EngineRegistry<any>({ report: { orm: recorded, ...SERIALIZABLE } })
  const sentBy = async (work: (em: Em, txn: any) => unknown): Promise<string[]> => {
    recording.reset()
    await registry.run(({ dbSession, tm }: any) => work(dbSession.report, tm)).catch(() => undefined)
    return recording.sql().map((sql) => sql.split(/ from|\s*case/)[0] as string)
  }
  try {
    const BEGIN = 'begin isolation level serializable'
    await recorded.connect()
    const read = (em: Em): Promise<unknown> => em.execute('select 1')
    assert.equal(await sentBy(read), [BEGIN, 'select 1', 'select', 'commit'])
    const deferrable = 'set transaction read only, deferrable'
    assert.equal(await sentBy((em) => em.execute(deferrable)), [BEGIN, deferrable, 'commit'])
    assert.equal(await sentBy((em) => em.count(Author)), [BEGIN, 'select count(*) as "count"', 'commit'])
    for (const giveUp of [fail, (tm: any) => tm.abort()]) {
      assert.not((await sentBy((em, tm) => em.count(Author).then(() => giveUp(tm)))).includes('commit'))
    }
    const warned = await warnings('SQLASSIST_UNMARKED_WRITE', async () => {
      for (const sql of ['select hidden()', `insert into author (name) values ('undeclared')`]) {
        assert.not((await sentBy((em) => em.execute(sql))).includes('commit'))
      }
    })
    assert.is(warned.length, 2)
    assert.equal(await authorNames(look), [])
  } finally {
    await recorded.close()
    await recording.close()
    void orm
  }
})

test('reads of weaker levels are rolled back as ever, and so is what only mentions the level', async ({ target }) => {
  const recording = await recordStatements(target)
  const orm: TestOrm = await openOrm(target, { via: recording.via, hasSchema: true })
  try {
    const WEAKER: readonly [engine: Omit<EngineOptions, 'orm'>, sql: string][] = [
      [{}, 'select 1'],
      [{ isolationLevel: 'repeatable read' }, 'select 1'],
      [{}, `select 'set transaction isolation level serializable'`],
      [{}, '-- set transaction isolation level serializable\nselect 1'],
      [{ ...SERIALIZABLE }, 'set transaction isolation level read committed'],
    ]
    for (const [engine, sql] of WEAKER) {
      const registry = new EngineRegistry({ report: { orm, ...engine } })
      recording.reset()
      await registry.run(({ dbSession }) => (dbSession.report as unknown as SqlEntityManager).execute(sql))
      assert.match(recording.sql().at(-1) as string, /rollback$/, sql)
    }
  } finally {
    await orm.close()
    await recording.close()
  }
})

test('subscribers hear of a commit where there is one', async ({ target }) => {
  const heard: string[] = []
  const hear = (what: string) => async (): Promise<void> => void heard.push(what)
  const subscriber = {
    beforeTransactionCommit: hear('<commit'),
    afterTransactionCommit: hear('commit'),
    beforeTransactionRollback: hear('<rollback'),
    afterTransactionRollback: hear('rollback'),
  }
  const orm = await openOrm(target, { hasSchema: true, config: { subscribers: [subscriber] } })
  try {
    for (const engine of [SERIALIZABLE, { ...SERIALIZABLE, commit: 'autonomous' }] as const) {
      for (const disableTransaction of [false, true]) {
        heard.length = 0
        const registry = new EngineRegistry<any>({ report: { orm, ...engine } }, { disableTransaction })
        await registry.run(({ dbSession }: any) => dbSession.report.count(Author))
        assert.equal(heard, ['<commit', 'commit'])
      }
    }
  } finally {
    await orm.close()
  }
})

test.run()
