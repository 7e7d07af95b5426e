import * as assert from 'uvu/assert'
import { defineEntity, p, Type, type EventSubscriber } from '@mikro-orm/core'
import { PostgreSqlDriver } from '@mikro-orm/postgresql'
import {
  CommitOutcomeUnknownError,
  CommittedTooEarlyError,
  EngineRegistry,
  TransactionAbortedError,
  TransactionManager,
  type DataManager,
} from '../../source/index.ts'
import { poolIdle } from '../support/leaks.ts'
import { openOrm, type TestOrm } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'
import { warnings } from '../support/warnings.ts'
import { openWired, type Wired } from '../support/wired.ts'

type Em = any

/** Fails when a value comes from the database. */
class OneWay extends Type<string, string> {
  override convertToJSValue(): string {
    throw new Error('one way only')
  }
  override getColumnType(): string {
    return 'text'
  }
}

const Note = defineEntity({
  name: 'Note',
  properties: {
    id: p.integer().primary(),
    text: p.string().nullable(),
    code: p.string().unique().nullable(),
    tags: () => p.manyToMany(Label),
    parent: () => p.manyToOne(Note).nullable(),
  },
})
const Label = defineEntity({ name: 'Label', properties: { id: p.integer().primary(), text: p.string() } })
const Versioned = defineEntity({
  name: 'Versioned',
  properties: { id: p.integer().primary(), text: p.string(), version: p.integer().version() },
})
const Checked = defineEntity({
  name: 'Checked',
  properties: { id: p.integer().primary(), text: p.string().concurrencyCheck() },
})
const Hooked = defineEntity({
  name: 'Hooked',
  hooks: {
    afterCreate: [async ({ em }: Em) => void (await em.execute(`insert into label (text) values ('by a hook')`))],
  },
  properties: { id: p.integer().primary(), text: p.string() },
})
const Odd = defineEntity({
  name: 'Odd',
  properties: {
    id: p.integer().primary(),
    text: p.string(),
    odd: p.type(OneWay).defaultRaw(`'odd'`),
  },
})
const Animal = defineEntity({
  name: 'Animal',
  inheritance: 'tpt',
  properties: { id: p.integer().primary(), text: p.string() },
})
const Dog = defineEntity({ name: 'Dog', extends: Animal, properties: { breed: p.string() } })
const ENTITIES = [Note, Label, Versioned, Checked, Hooked, Odd, Animal, Dog]
const TABLES = ['note_tags', 'note', 'label', 'versioned', 'checked', 'hooked', 'odd', 'dog', 'animal']

interface World extends Wired {
  registry: EngineRegistry<any>
}

const test = suite<World>('pipelineCommit: true')

test.before(async (world) => {
  Object.assign(world, await openWired({ config: { entities: ENTITIES } }))
  world.registry = new EngineRegistry({ writer: { orm: world.orm, pipelineCommit: true } })
})
test.before.each(async ({ look, wire, pool }) => {
  await poolIdle(pool)
  for (const table of TABLES) await look.rows(`delete from ${table}`)
  wire.reset()
})
test.after(({ close }) => close())

async function opened({ target, wire }: World, config: Record<string, unknown> = {}): Promise<TestOrm> {
  return await openOrm(target, { via: wire.url, config: { entities: ENTITIES, ...config } })
}

/** What each round trip carried, by the first words of its statements. */
function trips({ wire }: World): string[] {
  return wire.trips().map(({ messages }) =>
    messages
      .flatMap((text) => text.split(';'))
      .map((statement) => statement.trim().split(' ', 1)[0])
      .join(';'),
  )
}

async function count({ look }: World, table: string): Promise<unknown> {
  return await look.value(`select count(*) from ${table}`)
}

// What is provably one statement

test('a new entity: BEGIN, its insert and COMMIT in one round trip', async (world) => {
  const note = await world.registry.run(({ dbSession }) => (dbSession.writer as Em).create(Note, { text: 'new' }))
  assert.equal(trips(world), ['begin;insert;commit'])
  assert.equal(await world.look.rows('select id, text from note'), [{ id: note.id, text: 'new' }])
})

test('a changed and a removed entity: COMMIT goes along with the update and the delete', async (world) => {
  await world.look.rows(`insert into note (id, text) values (1000, 'old'), (1001, 'gone')`)
  await world.registry.run(async ({ dbSession }) => {
    ;(await (dbSession.writer as Em).findOne(Note, 1000)).text = 'changed'
  })
  await world.registry.run(async ({ dbSession }) => {
    const em: Em = dbSession.writer
    em.remove(await em.findOne(Note, 1001))
  })
  assert.equal(trips(world), ['begin;select', 'update;commit', 'begin;select', 'delete;commit'])
  assert.equal(await world.look.rows('select id, text from note'), [{ id: 1000, text: 'changed' }])
})

test('what was flushed before is committed with the last statement', async (world) => {
  await world.registry.run(async ({ dbSession }) => {
    const em: Em = dbSession.writer
    await em.persist(em.create(Label, { text: 'first' })).flush()
    em.create(Note, { text: 'last' })
  })
  assert.equal(trips(world), ['begin;insert', 'insert;commit'])
  assert.is(await count(world, 'label'), 1)
  assert.is(await count(world, 'note'), 1)
})

test('a version on a new entity is no obstacle; an entity whose savepoint was rolled back neither', async (world) => {
  await world.registry.run(({ dbSession }) => (dbSession.writer as Em).create(Versioned, { text: 'new' }))
  await world.registry.run(async ({ dbSession, txn }) => {
    const em: Em = dbSession.writer
    await em.count(Note)
    const savepoint = await txn.savepoint()
    em.create(Note, { text: 'undone' })
    await em.flush()
    await savepoint.rollback()
    em.create(Note, { text: 'kept' })
  })
  assert.equal(trips(world), [
    'begin;insert;commit',
    'begin;select',
    'savepoint',
    'insert',
    'rollback',
    'insert;commit',
  ])
  assert.equal(await world.look.rows('select text from note'), [{ text: 'kept' }])
})

test('hooks of a pipelined commit find it committed, and the session over', async (world) => {
  const seen: unknown[] = []
  await world.registry.run(({ dbSession, txn }) => {
    ;(dbSession.writer as Em).create(Note, { text: 'new' })
    txn.addAfterCommitHook(async (committed) => {
      seen.push(committed, await count(world, 'note'), txn.status)
    })
  })
  assert.equal(seen, [true, 1, 'Committed'])
})

test('a statement that the program lets end in a comment is committed all the same', async (world) => {
  const orm = await opened(world, { onQuery: (sql: string) => `${sql} -- traced` })
  await new EngineRegistry({ writer: { orm, pipelineCommit: true } }).run(({ dbSession }) => {
    ;(dbSession.writer as Em).create(Note, { text: 'new' })
  })
  assert.is(await count(world, 'note'), 1)
  assert.equal(trips(world).slice(-1), ['begin;insert;commit'])
  await orm.close()
})

// What is not: the ordinary COMMIT, behind everything

const FALLBACKS: readonly { name: string; work: (em: Em, world: World) => unknown; sent: string[] }[] = [
  { name: 'nothing to flush', work: (em) => em.insert(Label, { text: 'a' }), sent: ['begin;insert', 'commit'] },
  {
    name: 'two entities of one class',
    work: (em) => [em.create(Label, { text: 'a' }), em.create(Label, { text: 'b' })],
    sent: ['begin;insert', 'commit'],
  },
  {
    name: 'entities of two classes',
    work: (em) => [em.create(Label, { text: 'a' }), em.create(Note, { text: 'b' })],
    sent: ['begin;insert', 'insert', 'commit'],
  },
  {
    name: 'a collection of many to many',
    work: (em) => em.create(Note, { tags: [em.create(Label, { text: 'a' })] }),
    sent: ['begin;insert', 'insert', 'insert', 'commit'],
  },
  {
    name: 'a collection of entities that are there',
    work: async (em) => em.create(Note, { tags: [await em.findOne(Label, await em.insert(Label, { text: 'a' }))] }),
    sent: ['begin;insert', 'select', 'insert', 'insert', 'commit'],
  },
  {
    name: 'an entity in two tables',
    work: (em) => em.create(Dog, { text: 'a', breed: 'b' }),
    sent: ['begin;insert', 'insert', 'commit'],
  },
  {
    name: 'a reference to itself',
    work(em) {
      const note = em.create(Note, { text: 'a' })
      note.parent = note
    },
    sent: ['begin;insert', 'update', 'commit'],
  },
  {
    name: 'a version to be checked',
    work: async (em) => ((await em.findOne(Versioned, await em.insert(Versioned, { text: 'a' }))).text = 'b'),
    sent: ['begin;insert', 'select', 'update', 'commit'],
  },
  {
    name: 'a concurrency check',
    work: async (em) => ((await em.findOne(Checked, await em.insert(Checked, { text: 'a' }))).text = 'b'),
    sent: ['begin;insert', 'select', 'update', 'commit'],
  },
  {
    name: 'a hook of the entity that sends more',
    work: (em) => em.create(Hooked, { text: 'a' }),
    sent: ['begin;insert', 'insert', 'commit'],
  },
  {
    name: 'a flush that the handler did not wait for',
    work(em) {
      em.create(Label, { text: 'a' })
      void em.flush()
      em.create(Note, { text: 'b' })
    },
    sent: ['begin;insert', 'insert', 'commit'],
  },
]
for (const { name, work, sent } of FALLBACKS) {
  test(`${name}: everything is sent before COMMIT, and all of it is stored`, async (world) => {
    await world.registry.run(async ({ dbSession }) => void (await work(dbSession.writer, world)))
    assert.equal(trips(world), sent)
    const stored: number[] = []
    for (const table of TABLES) stored.push(Number(await count(world, table)))
    assert.is(
      stored.reduce((sum, rows) => sum + rows),
      sent.filter((trip) => trip.includes('insert')).length + (name === 'two entities of one class' ? 1 : 0),
    )
  })
}

test('a statement that waits behind it is not shut out', async (world) => {
  const holders = await Promise.all(Array.from({ length: 5 }, () => world.pool.connect()))
  const behind = Promise.withResolvers<unknown>()
  const running = world.registry.run(({ dbSession }) => {
    const em: Em = dbSession.writer
    em.create(Note, { text: 'last' })
    void until(() => world.pool.waitingCount === 1, 'the commit to wait for a connection').then(() =>
      behind.resolve(em.insert(Label, { text: 'behind' })),
    )
  })
  await until(() => world.pool.waitingCount === 1, 'the commit to wait for a connection')
  for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate)
  for (const holder of holders) holder.release()
  await running
  await behind.promise
  assert.is(await count(world, 'note'), 1)
  assert.is(await count(world, 'label'), 1)
})

test('no statement but the one of the flush itself has COMMIT with it, whatever else runs at that moment', async (world) => {
  const contexts = new Set<unknown>()
  let watching = Promise.resolve()
  await world.registry.run(({ dbSession }) => {
    const em: Em = dbSession.writer
    em.create(Note, { text: 'new' })
    watching = (async () => {
      for (let tick = 0; tick < 500; tick++) contexts.add(await em.getTransactionContext())
    })()
  })
  await watching
  assert.is(contexts.size, 1)
  assert.equal(trips(world), ['begin;insert;commit'])
})

test('the flush of the commit is the one that has COMMIT with it, not one in front of it that nobody waited for', async (world) => {
  let label: Em
  let flushes = 0
  const subscriber: EventSubscriber = {
    beforeFlush: () => Promise.resolve(++flushes === 3 && (label.text = 'by the third')) as never,
  }
  const orm = await opened(world, { subscribers: [subscriber] })
  const held = world.wire.hold(/into "label"/, 'answer')
  const running = new EngineRegistry({ writer: { orm, pipelineCommit: true } }).run(async ({ dbSession, txn }) => {
    const em: Em = dbSession.writer
    label = em.create(Label, { text: 'by the first' })
    void em.flush()
    await held.reached
    em.create(Note, { text: 'by the second' })
    void em.flush()
    txn.addBeforeCommitHook(() => setImmediate(() => held.release()))
  })
  await running
  assert.equal(await world.look.rows('select text from label'), [{ text: 'by the third' }])
  assert.is(await count(world, 'note'), 1)
  await orm.close()
})

const SUBSCRIBERS: Readonly<Record<string, EventSubscriber>> = {
  'a subscriber to the end of flushes, whatever entities it names': {
    getSubscribedEntities: () => [Label],
    afterFlush: async ({ em }) => void (await (em as Em).execute(`insert into label (text) values ('a')`)),
  },
  'a subscriber to the creation of this entity': {
    getSubscribedEntities: () => [Note],
    beforeCreate: async ({ em }) => void (await (em as Em).execute(`insert into label (text) values ('a')`)),
  },
}
for (const [name, subscriber] of Object.entries(SUBSCRIBERS)) {
  test(`${name}: what it sends is stored with the rest`, async (world) => {
    const orm = await opened(world, { subscribers: [subscriber] })
    await new EngineRegistry({ writer: { orm, pipelineCommit: true } }).run(({ dbSession }) => {
      ;(dbSession.writer as Em).create(Note, { text: 'new' })
    })
    assert.is(await count(world, 'note'), 1)
    assert.is(await count(world, 'label'), 1)
    assert.is(trips(world).at(-1), 'commit')
    await orm.close()
  })
}

test('a subscriber to the creation of another entity is no obstacle', async (world) => {
  const subscriber: EventSubscriber = { getSubscribedEntities: () => [Label], afterCreate: () => Promise.resolve() }
  const orm = await opened(world, { subscribers: [subscriber] })
  await new EngineRegistry({ writer: { orm, pipelineCommit: true } }).run(({ dbSession }) => {
    ;(dbSession.writer as Em).create(Note, { text: 'new' })
  })
  assert.equal(trips(world).slice(-1), ['begin;insert;commit'])
  await orm.close()
})

test('another resource in the transaction has its vote before anything is committed', async (world) => {
  const refusal = new Error('not like this')
  const resource: DataManager = {
    sortKey: () => 'another',
    tpcBegin() {},
    commit() {},
    tpcVote: () => Promise.reject(refusal),
    tpcFinish() {},
    tpcAbort() {},
    abort() {},
  }
  const error = await rejection(
    world.registry.run(({ dbSession, txn }) => {
      ;(dbSession.writer as Em).create(Note, { text: 'new' })
      txn.join(resource)
    }),
  )
  assert.is(error, refusal)
  assert.equal(trips(world), ['begin;insert', 'rollback'])
  assert.is(await count(world, 'note'), 0)
})

class AuditingDriver extends PostgreSqlDriver {
  override async nativeInsertMany(...args: any[]): Promise<any> {
    const result = await (super.nativeInsertMany as (...rest: any[]) => Promise<any>)(...args)
    await this.execute(`insert into label (text) values ('audit')`, [], 'run', args[2].ctx)
    return result
  }
}

test('a driver of the program may send what it likes', async (world) => {
  const orm = await opened(world, { driver: AuditingDriver })
  await new EngineRegistry({ writer: { orm, pipelineCommit: true } }).run(({ dbSession }) => {
    ;(dbSession.writer as Em).create(Note, { text: 'new' })
  })
  assert.is(trips(world).at(-1), 'commit')
  assert.is(await count(world, 'label'), 1)
  await orm.close()
})

test('an entity manager of the program may send more after its flush', async (world) => {
  const Base = Object.getPrototypeOf(world.orm.em.fork()).constructor
  class Flushing extends Base {
    async flush(): Promise<void> {
      await super.flush()
      await (this as Em).execute(`insert into label (text) values ('flushed')`)
    }
  }
  const orm = await opened(world, { entityManager: Flushing })
  await new EngineRegistry({ writer: { orm, pipelineCommit: true } }).run(({ dbSession }) => {
    ;(dbSession.writer as Em).create(Note, { text: 'new' })
  })
  assert.is(trips(world).at(-1), 'commit')
  assert.is(await count(world, 'label'), 1)
  await orm.close()
})

// What goes wrong

/** Two inserts, of which the last has COMMIT with it. */
function twoInserts(last: Record<string, unknown>) {
  return async ({ dbSession }: any) => {
    await dbSession.writer.insert(Label, { text: 'first' })
    dbSession.writer.create(Note, last)
  }
}

test('a last statement that fails: its error, and nothing is stored', async (world) => {
  await world.look.rows(`insert into note (code) values ('taken')`)
  const error = await rejection(world.registry.run(twoInserts({ code: 'taken' })))
  assert.is((error as Em).code, '23505')
  assert.is(await count(world, 'label'), 0)
  await poolIdle(world.pool)
})

test('a deferred constraint that fails at this COMMIT: its error, and nothing is stored', async (world) => {
  await world.look.rows('alter table note add constraint deferred unique (text) deferrable initially deferred')
  await world.look.rows(`insert into note (text) values ('taken')`)
  const error = await rejection(world.registry.run(twoInserts({ text: 'taken' })))
  assert.is((error as Em).code, '23505')
  assert.equal(trips(world).slice(0, 2), ['begin;insert', 'insert;commit'])
  assert.is(await count(world, 'label'), 0)
  await poolIdle(world.pool)
})

test('a statement that failed before and was swallowed: nothing is stored', async (world) => {
  const error = await rejection(
    world.registry.run(async ({ dbSession }) => {
      const em: Em = dbSession.writer
      await em.insert(Label, { text: 'first' })
      await rejection(em.execute('select 1 / 0'))
      em.create(Note, { text: 'new' })
    }),
  )
  assert.is((error as Em).code, '25P02')
  assert.is(await count(world, 'label'), 0)
})

test('a first statement of which nothing ran, swallowed: nothing is stored', async (world) => {
  const error = await rejection(
    world.registry.run(async ({ dbSession }) => {
      const em: Em = dbSession.writer
      await rejection(em.execute('selec 1'))
      em.create(Note, { text: 'autocommit?' })
    }),
  )
  assert.instance(error, TransactionAbortedError)
  assert.is(await count(world, 'note'), 0)
})

for (const [when, stored] of [
  ['before', 0],
  ['after', 1],
] as const) {
  test(`an answer that is lost, the connection cut ${when} it was carried out: nobody says that it failed`, async (world) => {
    const told: unknown[] = []
    const error = await rejection(
      world.registry.run(async (context) => {
        await twoInserts({ text: 'new' })(context)
        context.txn.addAfterCommitHook((committed) => void told.push(committed))
        world.wire.cut(/commit$/, when)
      }),
    )
    assert.instance(error, CommitOutcomeUnknownError)
    assert.is(await count(world, 'note'), stored)
    assert.is(await count(world, 'label'), stored)
    assert.equal(told, [false])
    await poolIdle(world.pool)
  })
}

test('when MikroORM fails to take over what came back, it is committed, and said so', async (world) => {
  const told: unknown[] = []
  const seen = await warnings('SQLASSIST_FAILED_AFTER_COMMIT', async () => {
    await world.registry.run(({ dbSession, txn }) => {
      ;(dbSession.writer as Em).create(Odd, { text: 'new' })
      txn.addAfterCommitHook((committed) => void told.push(committed))
    })
  })
  assert.equal(told, [true])
  assert.is(await count(world, 'odd'), 1)
  assert.match(seen[0]!.message, /"writer" is committed.*one way only/s)
})

test('a signal that gives the statement up while it is carried out: it is committed, and said so', async (world) => {
  const giveUp = new AbortController()
  const held = world.wire.hold(/commit$/, 'answer')
  const seen = await warnings('SQLASSIST_FAILED_AFTER_COMMIT', async () => {
    const running = world.registry.run(async (context) => {
      await twoInserts({ text: 'new' })(context)
      ;(context.dbSession.writer as Em).signal = giveUp.signal
    })
    await held.reached
    giveUp.abort()
    held.release()
    await running
  })
  assert.is(seen.length, 1)
  assert.is(await count(world, 'note'), 1)
})

test('a signal that cancels it in time: nothing is stored', async (world) => {
  const giveUp = new AbortController()
  await world.look.rows('begin')
  await world.look.rows(`insert into note (code) values ('taken')`)
  const running = rejection(
    world.registry.run(async (context) => {
      await twoInserts({ code: 'taken' })(context)
      const em: Em = context.dbSession.writer
      em.signal = giveUp.signal
      em.inflightQueryAbortStrategy = 'cancel query'
    }),
  )
  await until(async () => world.wire.sql().some((sql) => sql.includes('taken')), 'the last statement')
  await until(
    async () => Number(await world.look.value('select count(*) from pg_locks where not granted')) > 0,
    'it to wait for the lock',
  )
  giveUp.abort()
  await running
  await world.look.rows('rollback')
  await poolIdle(world.pool)
  assert.is(await count(world, 'label'), 0)
})

test('a commit that took longer than the manager waits, and is done all the same, is reported', async (world) => {
  const reported = Promise.withResolvers<unknown>()
  const held = world.wire.hold(/commit$/, 'answer')
  const unit = world.registry.start({
    owner: undefined,
    anyPreference: [],
    disableTransaction: false,
    manager: new TransactionManager({
      explicit: true,
      timeoutMs: 20,
      onSuppressedError: (error) => {
        if (error instanceof CommittedTooEarlyError) reported.resolve(error)
      },
    }),
  })
  await unit.tm.begin()
  ;(unit.session('writer').em as Em).create(Note, { text: 'new' })
  const error = await rejection(Promise.resolve(unit.commit()))
  assert.is((error as Em).code, 'SQLASSIST_CALL_TIMEOUT')
  held.release()
  assert.instance(await reported.promise, CommittedTooEarlyError)
  assert.is(await count(world, 'note'), 1)
})

/** As it would be if MikroORM began to send more. */
class PretendingDriver extends AuditingDriver {}
Object.defineProperty(PretendingDriver, 'name', { value: 'PostgreSqlDriver' })

test('a statement behind it, against all proof, is refused and the half done commit an error', async (world) => {
  const orm = await opened(world, { driver: PretendingDriver })
  const error = await rejection(
    new EngineRegistry({ writer: { orm, pipelineCommit: true } }).run(({ dbSession }) => {
      ;(dbSession.writer as Em).create(Note, { text: 'new' })
    }),
  )
  assert.instance(error, CommittedTooEarlyError)
  assert.is((error.cause as Em).code, 'SQLASSIST_SESSION_ENDED')
  await orm.close()
})

test.run()
