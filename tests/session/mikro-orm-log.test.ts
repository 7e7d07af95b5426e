/** MikroORM's own log (`debug: true`): it shows how the transactions of sessions begin and end. */
import * as assert from 'uvu/assert'
import { EngineRegistry, type EngineOptions } from '../../source/index.ts'
import { databaseSuite, type DatabaseWorld } from '../support/database-suite.ts'
import { Author } from '../support/entities.ts'
import { DIALECTS, type Dialect } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { SeveralDatabases } from '../support/several-databases.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'

type Em = any

let log: string[] = []
const LOGGED = { debug: ['query'], colors: false, logger: (line: string) => void log.push(line) }

/** The statements in the log by their first words, without a time and without what only one of the databases has. */
function logged(): string[] {
  return log.map((line) => {
    const [, label = '', statement = ''] = /^\[query\] (\(\w+\) )?(.*?)( \[took.*)?$/.exec(line) ?? []
    return label + statement.replaceAll(/["`]/g, '').replace(/^(insert|select) .*/, '$1')
  })
}

const LATER = new Error('later')
const add = (em: Em) => em.insert(Author, { name: 'x' })

interface Way {
  readonly name: string
  readonly engine?: Omit<EngineOptions, 'orm'>
  readonly disabled?: boolean
  readonly work: (em: Em) => unknown
  readonly shows: readonly string[] | Readonly<Record<Dialect, readonly string[]>>
}

const WAYS: readonly Way[] = [
  { name: 'nothing', work: () => undefined, shows: [] },
  { name: 'a write', work: (em) => void em.create(Author, { name: 'x' }), shows: ['begin', 'insert', 'commit'] },
  { name: 'a read', work: (em) => em.count(Author), shows: ['begin', 'select', 'rollback'] },
  {
    name: 'a failure',
    work: async (em) => {
      await add(em)
      throw LATER
    },
    shows: ['begin', 'insert', 'rollback'],
  },
  {
    name: 'em.transactional()',
    work: (em) => em.transactional((own: Em) => add(own)),
    shows: ['begin', 'savepoint trx1', 'insert', 'release savepoint trx1', 'commit'],
  },
  {
    name: 'em.rollback()',
    work: async (em) => {
      await add(em)
      await em.rollback()
      await add(em)
    },
    shows: ['begin', 'insert', 'rollback', 'begin', 'insert', 'commit'],
  },
  {
    name: 'em.commit() of disabled transactions',
    disabled: true,
    work: async (em) => {
      await add(em)
      await em.commit()
      await add(em)
    },
    shows: ['begin', 'insert', 'commit', 'begin', 'insert', 'commit'],
  },
  {
    name: 'an autonomous role',
    engine: { commit: 'autonomous' },
    work: add,
    shows: ['begin', 'insert', 'commit'],
  },
  {
    name: 'a flush of an autocommit role',
    engine: { commit: 'autocommit' },
    work: (em) => void em.create(Author, { name: 'x' }),
    shows: ['begin', 'insert', 'commit'],
  },
  { name: 'a role that only reads', engine: { readOnly: true }, work: (em) => em.count(Author), shows: ['select'] },
  {
    name: 'an isolation level',
    engine: { isolationLevel: 'serializable' },
    work: add,
    shows: {
      postgresql: ['start transaction isolation level serializable', 'insert', 'commit'],
      sqlite: ['begin', 'insert', 'commit'],
    },
  },
  {
    name: 'a snapshot',
    engine: { readOnly: 'snapshot' },
    work: (em) => em.count(Author),
    shows: {
      postgresql: ['start transaction isolation level repeatable read read only', 'select', 'rollback'],
      sqlite: ['begin', 'select', 'rollback'],
    },
  },
  {
    name: 'a label',
    engine: { fork: { loggerContext: { label: 'job' } } },
    work: add,
    shows: ['(job) begin', '(job) insert', '(job) commit'],
  },
]

for (const dialect of DIALECTS) {
  const test = databaseSuite(`MikroORM's log on ${dialect}`, dialect, { config: LOGGED })

  test.before.each(() => void (log = []))

  for (const { name, engine, disabled = false, work, shows } of WAYS) {
    const expected = Array.isArray(shows) ? (shows as string[]) : (shows as Record<Dialect, string[]>)[dialect]
    test(`of ${name} it shows ${expected.join(', ') || 'nothing'}`, async ({ orm }: DatabaseWorld) => {
      const engines = { role: { orm, ...engine } } as Record<'role', EngineOptions>
      const registry = new EngineRegistry(engines, { disableTransaction: disabled })
      await registry
        .run(({ dbSession }: any) => work(dbSession.role))
        .catch((error: unknown) => assert.is(error, LATER))
      // The ROLLBACK of what only read is not waited for.
      if (expected.at(-1) === 'rollback') await until(() => logged().includes('rollback'), 'the rollback')
      assert.equal(logged(), expected)
    })
  }

  test.run()
}

const several = suite('the log of a commit over several databases')

several('shows what is prepared and how that is finished', async () => {
  log = []
  const databases = await SeveralDatabases.open({ writer: 'postgresql', other: 'postgresql' })
  try {
    const { orm } = databases.place('other')
    const registry = await databases.warmRegistry()
    const logger: any = orm.config.getLogger()
    logger.logQuery = ({ query }: { query: string }) =>
      void log.push(query.replace(/'.*'/, "'id'").replace(/ into.*/, ''))
    const work = async ({ dbSession }: any): Promise<void> => {
      for (const role of ['writer', 'other']) await add(dbSession.get(role))
    }
    await registry.run(work)
    assert.equal(log, ['begin', 'insert', "prepare transaction 'id'", "commit prepared 'id'"])
    log = []
    await databases.place('writer').look.rows('create table owner (id integer primary key)')
    await databases
      .place('writer')
      .look.rows('create table owned (id integer references owner deferrable initially deferred)')
    await rejection(
      registry.run(async (context: any) => {
        await work(context)
        await context.dbSession.get('writer').getKysely().insertInto('owned').values({ id: 1 }).execute()
      }),
    )
    assert.equal(log, ['begin', 'insert', "prepare transaction 'id'", "rollback prepared 'id'"])
  } finally {
    await databases.close()
  }
})

several.run()
