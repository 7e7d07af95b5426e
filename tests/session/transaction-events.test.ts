/** What MikroORM's subscribers hear of the transactions of sessions: each event once, when it is true. */
import type { EventSubscriber, TransactionEventArgs } from '@mikro-orm/core'
import * as assert from 'uvu/assert'
import { EngineRegistry, TransactionAbortedError, type EngineOptions } from '../../source/index.ts'
import { authorNames } from '../support/authors.ts'
import { databaseSuite, type DatabaseWorld } from '../support/database-suite.ts'
import { Author } from '../support/entities.ts'
import { DIALECTS, openDatabase } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { warnings } from '../support/warnings.ts'

type Em = any
type Context = any
type Name = (typeof NAMES)[number]

const NAMES = [
  'beforeTransactionStart',
  'afterTransactionStart',
  'beforeTransactionCommit',
  'afterTransactionCommit',
  'beforeTransactionRollback',
  'afterTransactionRollback',
] as const

/** What was heard, in short: `<start`, `start`, `<commit`, `commit`, `<rollback`, `rollback`. */
let heard: string[] = []
/** What a test has a subscriber do. */
let doing: Partial<Record<Name, (args: TransactionEventArgs) => unknown>> = {}

function short(name: Name): string {
  return `${name.startsWith('before') ? '<' : ''}${name.slice(name.indexOf('Transaction') + 11).toLowerCase()}`
}

const subscriber: EventSubscriber = Object.fromEntries(
  NAMES.map((name) => [
    name,
    async (args: TransactionEventArgs) => {
      heard.push(short(name))
      await doing[name]?.(args)
    },
  ]),
)

const STARTED = ['<start', 'start']
const COMMITTED = [...STARTED, '<commit', 'commit']
const ROLLED_BACK = [...STARTED, '<rollback', 'rollback']

const LATER = new Error('later')
const add = (em: Em, name = 'x') => em.insert(Author, { name })

interface Way {
  readonly name: string
  readonly engine?: Omit<EngineOptions, 'orm'>
  readonly disabled?: boolean
  readonly work: (em: Em, context: Context) => unknown
  readonly hears: readonly string[]
  /** Whether the run is rejected. */
  readonly fails?: boolean
  readonly stored?: number
}

const WAYS: readonly Way[] = [
  { name: 'a run that sends nothing', work: () => undefined, hears: [] },
  { name: 'a run that commits', work: (em) => void em.create(Author, { name: 'x' }), hears: COMMITTED, stored: 1 },
  { name: 'statements at once', work: (em) => Promise.all([add(em), add(em)]), hears: COMMITTED, stored: 2 },
  { name: 'a first statement that nobody awaits', work: (em) => void add(em), hears: COMMITTED, stored: 1 },
  {
    name: 'Kysely',
    work: (em) => em.getKysely().insertInto('author').values({ name: 'x' }).execute(),
    hears: COMMITTED,
    stored: 1,
  },
  { name: 'a run that only reads', work: (em) => em.count(Author), hears: ROLLED_BACK },
  {
    name: 'a stream',
    work: async (em) => {
      for await (const _ of em.stream(Author)) break
    },
    hears: ROLLED_BACK,
  },
  {
    name: 'a run that fails',
    work: async (em) => {
      await add(em)
      throw LATER
    },
    hears: ROLLED_BACK,
    fails: true,
  },
  {
    name: 'a run that is doomed',
    work: async (em, { txn }) => {
      await add(em)
      txn.doom()
    },
    hears: ROLLED_BACK,
  },
  {
    name: 'txn.abort(), and another transaction',
    work: async (em, { tm, dbSession }) => {
      await add(em)
      await tm.abort()
      await tm.begin()
      await add(dbSession.role)
    },
    hears: [...ROLLED_BACK, ...COMMITTED],
    stored: 1,
  },
  {
    name: 'txn.commit(), and another transaction',
    work: async (em, { tm, dbSession }) => {
      await add(em)
      await tm.commit()
      await tm.begin()
      await add(dbSession.role)
    },
    hears: [...COMMITTED, ...COMMITTED],
    stored: 2,
  },
  { name: 'em.transactional()', work: (em) => em.transactional((own: Em) => add(own)), hears: COMMITTED, stored: 1 },
  {
    name: 'em.transactional() in em.transactional()',
    work: (em) => em.transactional((own: Em) => own.transactional((inner: Em) => add(inner))),
    hears: COMMITTED,
    stored: 1,
  },
  {
    name: 'em.transactional() in a run that fails later',
    work: async (em) => {
      await em.transactional((own: Em) => void own.create(Author, { name: 'x' }))
      throw LATER
    },
    hears: ROLLED_BACK,
    fails: true,
  },
  {
    name: 'em.transactional() whose failure is caught',
    work: async (em) => {
      await rejection(
        em.transactional(async (own: Em) => {
          await add(own)
          throw LATER
        }),
      )
      await add(em, 'y')
    },
    hears: COMMITTED,
    stored: 1,
  },
  {
    name: "em.transactional() with propagation 'required'",
    work: (em) => em.transactional((own: Em) => add(own), { propagation: 'required' }),
    hears: COMMITTED,
    stored: 1,
  },
  {
    name: 'savepoints',
    work: async (em, { txn }) => {
      await add(em)
      const savepoint = await txn.savepoint()
      await add(em)
      await savepoint.rollback()
    },
    hears: COMMITTED,
    stored: 1,
  },
  {
    name: 'em.rollback()',
    work: async (em) => {
      await add(em)
      await em.rollback()
      await add(em, 'y')
    },
    hears: [...ROLLED_BACK, ...COMMITTED],
    stored: 1,
  },
  {
    name: 'a statement that fails and is caught',
    work: async (em) => {
      await add(em)
      await rejection(em.execute('insert into nowhere values (1)'))
    },
    hears: ROLLED_BACK,
    fails: true,
  },
  {
    name: 'raw SQL that nobody marked',
    work: (em) => em.execute("insert into author (name) values ('x')"),
    hears: ROLLED_BACK,
  },
  {
    name: "raw SQL of a role with rawWrites: 'commit'",
    engine: { rawWrites: 'commit' },
    work: (em) => em.execute("insert into author (name) values ('x')"),
    hears: COMMITTED,
    stored: 1,
  },
  { name: 'a snapshot', engine: { readOnly: 'snapshot' }, work: (em) => em.count(Author), hears: ROLLED_BACK },
  { name: 'a role that only reads', engine: { readOnly: true }, work: (em) => em.count(Author), hears: [] },
  {
    name: 'an autonomous role in a run that fails',
    engine: { commit: 'autonomous' },
    work: async (em) => {
      await add(em)
      throw LATER
    },
    hears: COMMITTED,
    fails: true,
    stored: 1,
  },
  {
    name: 'an autonomous role that is rolled back',
    engine: { commit: 'autonomous' },
    work: async (em) => {
      await add(em)
      await em.rollback()
    },
    hears: ROLLED_BACK,
  },
  {
    name: 'em.commit() of an autonomous role, and more',
    engine: { commit: 'autonomous' },
    work: async (em) => {
      await add(em)
      await em.commit()
      await add(em)
    },
    hears: [...COMMITTED, ...COMMITTED],
    stored: 2,
  },
  {
    name: 'a flush of an autocommit role',
    engine: { commit: 'autocommit' },
    work: (em) => void em.create(Author, { name: 'x' }),
    hears: COMMITTED,
    stored: 1,
  },
  {
    name: 'em.transactional() in em.transactional() of an autocommit role',
    engine: { commit: 'autocommit' },
    work: (em) => em.transactional((own: Em) => own.transactional((inner: Em) => add(inner))),
    hears: COMMITTED,
    stored: 1,
  },
  {
    name: 'em.transactional() of an autocommit role that fails around another',
    engine: { commit: 'autocommit' },
    work: async (em) => {
      await rejection(
        em.transactional(async (own: Em) => {
          await own.transactional((inner: Em) => add(inner))
          throw LATER
        }),
      )
    },
    hears: ROLLED_BACK,
  },
  {
    name: 'em.begin() and em.commit() of an autocommit role',
    engine: { commit: 'autocommit' },
    work: async (em) => {
      await em.begin()
      await add(em)
      await em.commit()
    },
    hears: COMMITTED,
    stored: 1,
  },
  { name: 'disabled transactions', disabled: true, work: (em) => add(em), hears: COMMITTED, stored: 1 },
  {
    name: 'em.commit() of disabled transactions, and more',
    disabled: true,
    work: async (em) => {
      await add(em)
      await em.commit()
      await add(em)
    },
    hears: [...COMMITTED, ...COMMITTED],
    stored: 2,
  },
  {
    name: 'em.rollback() of disabled transactions, and more',
    disabled: true,
    work: async (em) => {
      await add(em)
      await em.rollback()
      await add(em)
    },
    hears: [...ROLLED_BACK, ...COMMITTED],
    stored: 1,
  },
  {
    name: 'a run that fails with disabled transactions',
    disabled: true,
    work: async (em) => {
      await em.transactional((own: Em) => add(own))
      throw LATER
    },
    hears: ROLLED_BACK,
    fails: true,
  },
]

function registryOf({ orm }: DatabaseWorld, engine: Omit<EngineOptions, 'orm'> = {}, disableTransaction = false) {
  return new EngineRegistry({ role: { orm, ...engine } } as Record<'role', EngineOptions>, { disableTransaction })
}

for (const dialect of DIALECTS) {
  const test = databaseSuite(`transaction events on ${dialect}`, dialect, { config: { subscribers: [subscriber] } })
  const run = (
    world: DatabaseWorld,
    work: (em: Em, context: Context) => unknown,
    engine?: Omit<EngineOptions, 'orm'>,
  ) => registryOf(world, engine).run((context: Context) => work(context.dbSession.role, context))

  test.before.each(() => {
    heard = []
    doing = {}
  })

  for (const { name, engine, disabled = false, work, hears, fails = false, stored = 0 } of WAYS) {
    test(`${name}: heard is ${hears.join(', ') || 'nothing'}`, async (world) => {
      const registry = registryOf(world, engine, disabled)
      const running = registry.run((context: Context) => work(context.dbSession.role, context) as Promise<void>)
      assert.is(
        await running.then(
          () => false,
          () => true,
        ),
        fails,
      )
      assert.equal(heard, hears)
      assert.is((await authorNames(world.look)).length, stored)
    })
  }

  test('a session of registry.session(): its commits, its rollbacks and its end are heard', async (world) => {
    const em: Em = registryOf(world).session('role')
    await add(em)
    await em.commit()
    await add(em)
    await em.rollback()
    await add(em)
    await em.close()
    assert.equal(heard, [...COMMITTED, ...ROLLED_BACK, ...ROLLED_BACK])
    assert.is((await authorNames(world.look)).length, 1)
  })

  test('an attempt that is made again is heard as rolled back', async (world) => {
    let attempts = 0
    await registryOf(world).run(
      async ({ dbSession }: Context) => {
        await add(dbSession.role)
        if (++attempts === 1) throw Object.assign(new Error('again'), { code: '40001', severity: 'ERROR', length: 1 })
      },
      { attempts: 2 },
    )
    assert.equal([attempts, heard], [2, [...ROLLED_BACK, ...COMMITTED]])
  })

  test('each event comes with the session, its entities and its transaction', async (world) => {
    const seen: unknown[] = []
    let expected: unknown[] = []
    for (const name of NAMES) {
      doing[name] = ({ em, uow, transaction }) =>
        void seen.push(name, em, transaction, [...uow!.getIdentityMap()].length)
    }
    await run(world, async (em) => {
      expected = [em, em.getTransactionContext()]
      em.create(Author, { name: 'x' })
    })
    const [em, transaction] = expected
    assert.equal(
      seen.map((each) => (each === em ? 'em' : each === transaction ? 'transaction' : each)),
      [
        'beforeTransactionStart',
        'em',
        undefined,
        0,
        'afterTransactionStart',
        'em',
        'transaction',
        0,
        'beforeTransactionCommit',
        'em',
        'transaction',
        1,
        'afterTransactionCommit',
        'em',
        'transaction',
        1,
      ],
    )
  })

  for (const disabled of [false, true]) {
    test(`a commit is heard before it is visible, and again when it is, ${disabled ? 'also ' : ''}with disableTransaction: ${disabled}`, async (world) => {
      const visible: unknown[] = []
      const look = async (): Promise<void> => void visible.push(await authorNames(world.look))
      doing = { beforeTransactionCommit: look, afterTransactionCommit: look }
      const registry = registryOf(world, {}, disabled)
      await registry.run(({ dbSession }: Context) => dbSession.role.transactional((em: Em) => add(em)))
      assert.equal(visible, [[], ['x']])
    })
  }

  test('what is sent as a transaction starts comes before its first statement', async (world) => {
    doing = {
      beforeTransactionStart: ({ em }) => (em as Em).insert(Author, { name: 'before' }),
      afterTransactionStart: ({ em }) =>
        Promise.all([add(em, 'after'), (em as Em).transactional((own: Em) => add(own, 'nested'))]),
    }
    await run(world, (em) => Promise.all([add(em, 'first'), add(em, 'second')]))
    assert.equal(await authorNames(world.look), ['before', 'after', 'nested', 'first', 'second'])
    assert.equal(heard, COMMITTED)
  })

  test('what is written or scheduled as a commit is heard is committed, once', async (world) => {
    doing.beforeTransactionCommit = async ({ em }) => {
      await add(em, 'sent')
      ;(em as Em).create(Author, { name: 'scheduled' })
    }
    for (const engine of [{}, { commit: 'autonomous' as const }]) await run(world, (em) => add(em, 'first'), engine)
    assert.equal(await authorNames(world.look), ['first', 'sent', 'scheduled', 'first', 'sent', 'scheduled'])
    assert.equal(heard, [...COMMITTED, ...COMMITTED])
  })

  for (const name of ['beforeTransactionStart', 'afterTransactionStart'] as const) {
    test(`an error in ${name} fails every statement, also where it is caught, and nothing is stored`, async (world) => {
      doing[name] = async ({ em }) => {
        await add(em)
        throw LATER
      }
      const caught: unknown[] = []
      const error = await rejection(
        run(world, async (em) => {
          for (const _ of [1, 2]) caught.push(await rejection(add(em)))
        }),
      )
      assert.equal([caught, error instanceof TransactionAbortedError], [[LATER, LATER], true])
      assert.is(error.cause, LATER)
      assert.is(heard.at(-1), 'rollback')
      assert.equal(await authorNames(world.look), [])
    })
  }

  test('an error in beforeTransactionCommit aborts, and is thrown', async (world) => {
    doing.beforeTransactionCommit = () => Promise.reject(LATER)
    for (const engine of [{}, { commit: 'autonomous' as const }]) {
      heard = []
      assert.is(await rejection(run(world, (em) => add(em), engine)), LATER)
      assert.equal(heard, [...STARTED, '<commit', '<rollback', 'rollback'])
    }
    assert.equal(await authorNames(world.look), [])
  })

  test('an error in afterTransactionCommit is a warning: the work is stored', async (world) => {
    doing.afterTransactionCommit = () => Promise.reject(LATER)
    const seen = await warnings('SQLASSIST_SUPPRESSED_ERROR', async () => void (await run(world, (em) => add(em))))
    assert.equal(
      seen.map(({ message }) => message),
      ['afterTransactionCommit of the session of role "role": Error: later'],
    )
    assert.equal(await authorNames(world.look), ['x'])
  })

  test('an error as a rollback is heard is a warning, and the first error is thrown', async (world) => {
    const first = new Error('first')
    doing = {
      beforeTransactionRollback: () => Promise.reject(LATER),
      afterTransactionRollback: () => Promise.reject(LATER),
    }
    const seen = await warnings('SQLASSIST_SUPPRESSED_ERROR', async () => {
      const error = await rejection(
        run(world, async (em) => {
          await add(em)
          throw first
        }),
      )
      assert.is(error, first)
    })
    assert.is(seen.length, 2)
    assert.equal(await authorNames(world.look), [])
  })

  test('the session may be used after em.rollback() and em.commit() by those who hear of them', async (world) => {
    doing.afterTransactionRollback = async ({ em }) => {
      doing = {
        afterTransactionCommit: ({ em: own }) => void ((doing = {}), (own as Em).create(Author, { name: 'scheduled' })),
      }
      await add(em, 'after rollback')
      await em.commit()
    }
    await registryOf(world, {}, true).run(async ({ dbSession }: Context) => {
      await add(dbSession.role)
      await dbSession.role.rollback()
    })
    assert.equal(await authorNames(world.look), ['after rollback', 'scheduled'])
  })

  test('a statement of those who hear that a transaction will be rolled back is refused where it would wait for that', async (world) => {
    let refused: unknown
    doing.beforeTransactionRollback = async ({ em }) => void (refused = await rejection(add(em, 'too late')))
    await run(world, async (em) => {
      await add(em)
      await em.rollback()
      doing = {}
    })
    assert.match(String(refused), /its database transaction is over/)
    assert.equal(await authorNames(world.look), [])
  })

  test('another run may begin as a commit is heard', async (world) => {
    const registry = registryOf(world)
    doing.afterTransactionCommit = async () => {
      doing = {}
      await registry.run(({ dbSession }: Context) => add(dbSession.role, 'second'))
    }
    await registry.run(({ dbSession }: Context) => add(dbSession.role, 'first'))
    assert.equal(await authorNames(world.look), ['first', 'second'])
    assert.equal(heard, [...COMMITTED, ...COMMITTED])
  })

  for (const [engine, disabled] of [
    [{}, false],
    [{ commit: 'autonomous' }, false],
    [{ commit: 'autocommit' }, false],
    [{}, true],
  ] as const) {
    const kind = disabled
      ? 'with disabled transactions'
      : `of a role with commit: '${'commit' in engine ? engine.commit : 'joined'}'`
    test(`a subscriber registered in nested transactions ${kind} hears of the real end`, async (world) => {
      const own: string[] = []
      const ending = (what: string): EventSubscriber => ({
        afterTransactionCommit: async () =>
          void own.push(`${what} commit`, ...((await authorNames(world.look)) as string[])),
        afterTransactionRollback: async () => void own.push(`${what} rollback`),
      })
      const registry = registryOf(world, engine, disabled)
      await registry.run(async ({ dbSession: { role } }: Context) => {
        await role.transactional(async (em: Em) => {
          await rejection(
            em.transactional(async (undone: Em) => {
              undone.getEventManager().registerSubscriber(ending('undone'))
              await add(undone, 'undone')
              throw LATER
            }),
          )
          await em.transactional(async (inner: Em) => {
            inner.getEventManager().registerSubscriber(ending('inner'))
            await add(inner)
          })
          assert.equal(own, ['undone rollback'])
        })
      })
      assert.equal(own, ['undone rollback', 'inner commit', 'x'])
      assert.equal(heard, COMMITTED)
    })
  }

  for (const name of NAMES) {
    test(`a subscriber to ${name} alone hears each of them once`, async () => {
      const seen: string[] = []
      const only = { [name]: () => void seen.push(short(name)) }
      const { orm, look, close } = await openDatabase(dialect, { config: { subscribers: [only] } })
      const registry = new EngineRegistry({ role: { orm, pipelineCommit: dialect === 'postgresql' } })
      await registry.run(({ dbSession: { role } }: Context) => void role.create(Author, { name: 'x' }))
      await rejection(
        registry.run(async ({ dbSession: { role } }: Context) => {
          await role.transactional((em: Em) => add(em))
          throw LATER
        }),
      )
      assert.equal(
        seen,
        [...COMMITTED, ...ROLLED_BACK].filter((each) => each === short(name)),
      )
      assert.equal(await authorNames(look), ['x'])
      await close()
    })
  }

  test.run()
}
