import * as assert from 'uvu/assert'
import { channel, tracingChannel } from 'node:diagnostics_channel'
import { EngineRegistry, markChanged } from '../../source/index.ts'
import { suiteOfTwo } from '../support/database-suite.ts'
import { Author, Book } from '../support/entities.ts'
import { DIALECTS, openDatabase } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { addIn, SeveralDatabases } from '../support/several-databases.ts'
import { suite } from '../support/suite.ts'

const PLAIN = [
  'unit:start',
  'unit:end',
  'transaction:begin',
  'transaction:join',
  'session:open',
  'session:close',
  'registry:close',
]
const TRACED = ['transaction:commit', 'transaction:abort', 'transaction:savepoint', 'transaction:rollback']
const SENT = ['session:statement', 'session:end']

interface Told {
  readonly what: string
  readonly message: any
}

/** What the channels told while `work` ran. */
async function listen(work: () => Promise<unknown>): Promise<Told[]> {
  const told: Told[] = []
  const stop: (() => void)[] = []
  for (const name of [...PLAIN, 'transaction:call']) {
    const each = channel(`sqlassist:${name}`)
    const note = (message: unknown) => void told.push({ what: name, message })
    each.subscribe(note)
    stop.push(() => each.unsubscribe(note))
  }
  for (const name of [...TRACED, ...SENT]) {
    const each = tracingChannel(`sqlassist:${name}`)
    const note = (event: string) => (message: unknown) => void told.push({ what: `${name} ${event}`, message })
    const subscribers = { start: note('start'), asyncEnd: note('end'), error: note('error') }
    each.subscribe(subscribers as never)
    stop.push(() => each.unsubscribe(subscribers as never))
  }
  try {
    await work()
  } finally {
    for (const each of stop) each()
  }
  return told
}

function named(told: readonly Told[], ...names: readonly string[]): string[] {
  return told.map(({ what }) => what).filter((what) => names.some((name) => what.startsWith(name)))
}

function messages(told: readonly Told[], what: string): any[] {
  return told.filter((each) => each.what === what).map(({ message }) => message)
}

for (const dialect of DIALECTS) {
  const test = suiteOfTwo(`diagnostics channels on ${dialect}`, dialect)

  test('a unit of work publishes its life, in order, each message with what it belongs to', async ({ a }) => {
    const registry = new EngineRegistry({ writer: a.orm })
    let dbSession: object | undefined
    const told = await listen(() =>
      registry.run(async (context) => {
        dbSession = context.dbSession
        const { writer } = context.dbSession
        writer.persist(writer.create(Author, { name: 'told' }))
      }),
    )
    assert.equal(named(told, ...PLAIN, ...TRACED), [
      'unit:start',
      'transaction:begin',
      'session:open',
      'transaction:join',
      'transaction:commit start',
      'session:close',
      'transaction:commit end',
      'unit:end',
    ])
    const [open] = messages(told, 'session:open')
    assert.equal([open.role, open.state, open.owner], ['writer', 'active', undefined])
    const [close] = messages(told, 'session:close')
    assert.equal([close.role, close.state, close.reason], ['writer', 'changed', 'its transaction was committed'])
    const [end] = messages(told, 'unit:end')
    assert.equal(
      [end.outcome, end.reason, end.error, end.retries, end.attempt],
      ['committed', undefined, undefined, false, 1],
    )
    for (const { message, what } of told) {
      if ('dbSession' in message) assert.is(message.dbSession, dbSession, what)
      if ('registry' in message) assert.is(message.registry, registry, what)
      if (what.startsWith('transaction:'))
        assert.is(message.transaction, messages(told, 'transaction:begin')[0].transaction)
    }
    assert.equal(
      messages(told, 'transaction:call').map(({ method }) => method),
      ['tpcBegin', 'commit', 'tpcVote', 'tpcFinish'],
    )
  })

  test('a flush is published before it is sent, with its entities, properties and what becomes NULL', async ({ a }) => {
    const registry = new EngineRegistry({ writer: a.orm })
    const flushes: any[] = []
    const note = (message: any) => void flushes.push(message)
    channel('sqlassist:session:flush').subscribe(note)
    await registry.run(async ({ dbSession: { writer } }: any) => {
      await writer.flush()
      const book = writer.create(Book, { title: 'flushed', author: { name: 'flushed' } })
      await writer.transactional(() => undefined)
      delete book.author
      await writer.flush()
      writer.remove(book)
    })
    channel('sqlassist:session:flush').unsubscribe(note)
    assert.equal(
      flushes.map(({ role, changes }) => [
        role,
        ...changes.map(({ kind, entity, emptied }: any) => [kind, entity, ...emptied].join(' ')),
      ]),
      [
        ['writer', 'create Author', 'create Book'],
        ['writer', 'update Book author'],
        ['writer', 'delete Book'],
      ],
    )
    assert.equal(
      flushes[0].changes.map(({ id }: any) => id),
      [undefined, undefined],
    )
    assert.equal([flushes[1].changes[0].properties, typeof flushes[1].changes[0].id], [['author'], 'string'])
  })

  test('every statement is published, with whether it begins the transaction, its rows and its backend', async ({
    a,
    b,
  }) => {
    const registry = new EngineRegistry({ reader: { orm: b.orm, readOnly: true }, writer: a.orm })
    const told = await listen(() =>
      registry.run(async ({ dbSession: { reader, writer } }) => {
        await reader.execute('select 1 as one union all select 2')
        await writer.execute('select 3 as three')
        await writer.execute(`insert into author (name) values ('x'), ('y')`)
        for await (const row of writer.stream(Author)) assert.type(row.name, 'string')
        markChanged(writer)
        await rejection(reader.execute('select nothing_of_the_kind'))
      }),
    )
    const started = messages(told, 'session:statement start')
    assert.equal(
      started.map(({ role, inTransaction, begins }) => [role, inTransaction, begins]),
      [
        ['reader', false, false],
        ['writer', true, true],
        ['writer', true, false],
        ['writer', true, false],
        ['reader', false, false],
      ],
    )
    assert.equal(
      started.slice(0, 3).map(({ rows }) => rows),
      [2, 1, 2],
    )
    assert.ok(started[3].rows >= 2, 'a stream counts its rows')
    assert.match(started[0].sql, /select 1 as one/)
    assert.match(messages(told, 'session:statement error')[0].error.message, /nothing_of_the_kind/)
    assert.is(messages(told, 'session:statement end').length, 5)
    const ofReads = started.filter(({ role }) => role === 'reader').map(({ backend }) => typeof backend)
    assert.equal(ofReads, dialect === 'postgresql' ? ['number', 'number'] : ['undefined', 'undefined'])
    const backends = new Set(started.filter(({ role }) => role === 'writer').map(({ backend }) => backend))
    assert.is(backends.size, 1)
    assert.is(
      [...backends].every((backend) => typeof backend === 'number'),
      dialect === 'postgresql',
    )
    assert.equal(
      messages(told, 'session:end start').map(({ role, how, decides }) => [role, how, decides]),
      [['writer', 'commit', false]],
    )
  })

  test('a role that commits every statement publishes each', async ({ a }) => {
    const registry = new EngineRegistry({ log: { orm: a.orm, commit: 'autocommit' } })
    const told = await listen(() =>
      registry.run(async ({ dbSession: { log } }) => {
        log.persist(log.create(Author, { name: 'logged' }))
        await log.flush()
        await log.execute('select 1 as one')
      }),
    )
    const started = messages(told, 'session:statement start')
    assert.equal(
      started.map(({ role, inTransaction, sql, rows }) => [role, inTransaction, sql.slice(0, 6), rows]),
      [
        ['log', false, 'insert', 1],
        ['log', false, 'select', 1],
      ],
    )
  })

  test('an abort is published with its reason: an error, with the error itself', async ({ a }) => {
    const registry = new EngineRegistry({ writer: a.orm })
    const failure = new Error('on purpose')
    const told = await listen(() =>
      rejection(
        registry.run(async ({ dbSession: { writer } }) => {
          await writer.insert(Author, { name: 'lost' })
          throw failure
        }),
      ),
    )
    assert.equal(named(told, 'transaction:abort', 'transaction:commit', 'session:end', 'unit:end'), [
      'transaction:abort start',
      'session:end start',
      'session:end end',
      'transaction:abort end',
      'unit:end',
    ])
    const [end] = messages(told, 'unit:end')
    assert.equal([end.outcome, end.reason, end.error], ['aborted', 'failed', failure])
  })

  test('a commit that fails, an attempt that is made again, and one that the work ended itself tell so', async ({
    a,
  }) => {
    const registry = new EngineRegistry({ writer: a.orm })
    const failing = await listen(() =>
      rejection(registry.run(({ txn }) => txn.addBeforeCommitHook(() => Promise.reject(new Error('in a hook'))))),
    )
    const [failed] = messages(failing, 'unit:end')
    assert.equal([failed.outcome, failed.reason, failed.error.message], ['aborted', 'failed', 'in a hook'])
    assert.equal(named(failing, 'transaction:commit'), [
      'transaction:commit start',
      'transaction:commit error',
      'transaction:commit end',
    ])

    const ended = await listen(() => registry.run(({ txn }) => txn.commit()))
    assert.is(messages(ended, 'unit:end')[0].outcome, 'ended')

    const again = await listen(() =>
      registry.run(
        ({ tm }) => {
          if (tm.attempt === 1) throw Object.assign(new Error('deadlock'), { code: '40P01' })
        },
        { attempts: 2 },
      ),
    )
    assert.equal(
      messages(again, 'unit:end').map(({ attempt, outcome, retries }) => [attempt, outcome, retries]),
      [
        [1, 'aborted', true],
        [2, 'committed', false],
      ],
    )
    const [first, second] = messages(again, 'unit:start')
    assert.is(first.series, second.series)
    assert.is.not(first.series, messages(ended, 'unit:start')[0].series)
  })

  test('a run that is cancelled is published as such', async ({ a }) => {
    const registry = new EngineRegistry({ writer: a.orm })
    const controller = new AbortController()
    const told = await listen(() =>
      rejection(
        registry.run(
          async ({ dbSession: { writer } }) => {
            await writer.count(Author)
            controller.abort(new Error('enough'))
          },
          { signal: controller.signal },
        ),
      ),
    )
    const [end] = messages(told, 'unit:end')
    assert.equal([end.outcome, end.reason, end.error.message], ['aborted', 'cancelled', 'enough'])
  })

  test('a registry that is closed publishes so, when its last unit of work is over', async () => {
    const { orm, look } = await openDatabase(dialect)
    const registry = new EngineRegistry({ writer: orm })
    const told = await listen(async () => {
      const run = registry.run(({ dbSession }) => dbSession.writer.count(Author))
      await registry.close()
      await run
    })
    await look.close()
    assert.is(named(told, 'unit:end', 'registry:close').join(), 'unit:end,registry:close')
    assert.is(messages(told, 'registry:close')[0].registry, registry)
  })

  test('a savepoint and its rollback are published', async ({ a }) => {
    const registry = new EngineRegistry({ writer: a.orm })
    const told = await listen(() =>
      registry.run(async ({ dbSession: { writer }, txn }) => {
        await writer.count(Author)
        const savepoint = await txn.savepoint()
        await savepoint.rollback()
      }),
    )
    assert.equal(named(told, 'transaction:savepoint', 'transaction:rollback'), [
      'transaction:savepoint start',
      'transaction:savepoint end',
      'transaction:rollback start',
      'transaction:rollback end',
    ])
    assert.is(
      messages(told, 'transaction:savepoint end')[0].result,
      messages(told, 'transaction:rollback start')[0].savepoint,
    )
  })

  test.run()
}

const several = suite<{ several: SeveralDatabases }>('diagnostics channels over several databases')

several.before(async (world) => {
  world.several = await SeveralDatabases.open({ writer: 'postgresql', other: 'postgresql' })
})
several.after((world) => world.several.close())

several('a commit over several databases tells what was prepared, decided and finished', async (world) => {
  const registry = world.several.registry()
  const told = await listen(() =>
    registry.run(async ({ dbSession }) => {
      for (const em of [dbSession.get('writer'), dbSession.get('other')])
        em.persist(em.create(Author, { name: 'both' }))
    }),
  )
  assert.equal(
    messages(told, 'session:end start').map(({ role, how, decides }) => [role, how, decides]),
    [
      ['other', 'prepare', undefined],
      ['writer', 'commit', true],
      ['other', 'commit prepared', undefined],
    ],
  )
  const gids = messages(told, 'session:end start').map(({ gid }) => gid)
  assert.match(gids[0], /^sqlassist:app:writer:/)
  assert.is(gids[0], gids[2])
})

several('what is finished over another connection, since its own is gone, is told too', async (world) => {
  const registry = await world.several.warmRegistry()
  world.several.place('other').wire?.cut(/^commit prepared/, 'before')
  const told = await listen(() => addIn(registry, ['writer', 'other'], 'aside'))
  const ends = messages(told, 'session:end end').map(({ role, how, error }) => [role, how, error !== undefined])
  assert.equal(ends, [
    ['other', 'prepare', false],
    ['writer', 'commit', false],
    ['other', 'commit prepared', true],
    ['other', 'commit prepared', false],
  ])
})

several.run()
