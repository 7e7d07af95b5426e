/** What MikroORM's subscribers hear of commits over several databases, and of commits that fail. */
import * as assert from 'uvu/assert'
import { CommitOutcomeUnknownError, type DataManager } from '../../source/index.ts'
import { Author } from '../support/entities.ts'
import { rejection } from '../support/rejection.ts'
import { addIn, has, SeveralDatabases } from '../support/several-databases.ts'
import { suite } from '../support/suite.ts'
import { warnings } from '../support/warnings.ts'

type Em = any

const EVENTS = ['Start', 'Commit', 'Rollback'].flatMap((what) => [
  `beforeTransaction${what}`,
  `afterTransaction${what}`,
])

/** What the subscribers of each role heard since the test began, with the rows that were visible then. */
let heard: string[] = []

function of(role: string): string[] {
  return heard.filter((each) => each.startsWith(`${role} `)).map((each) => each.slice(role.length + 1))
}

const COMMITTED = ['<start 0', 'start 0', '<commit 0', 'commit 1']
const ROLLED_BACK = ['<start 0', 'start 0', '<rollback 0', 'rollback 0']

const test = suite<{ several: SeveralDatabases }>('transaction events of commits over several databases')

test.before(async (world) => {
  world.several = await SeveralDatabases.open({
    writer: 'postgresql',
    other: 'postgresql',
    file: 'sqlite',
    file2: 'sqlite',
  })
  for (const place of world.several.places) {
    const note = async (name: string): Promise<void> => {
      const event = name.slice(name.indexOf('Transaction') + 11).toLowerCase()
      heard.push(`${place.role} ${name.startsWith('before') ? '<' : ''}${event} ${String(await has(place, 'x'))}`)
    }
    const subscriber = Object.fromEntries(EVENTS.map((name) => [name, () => note(name)]))
    place.orm.em.getEventManager().registerSubscriber(subscriber)
    for (const sql of [
      'create table owner (id integer primary key)',
      'create table owned (id integer references owner deferrable initially deferred)',
    ])
      await place.look.rows(sql)
  }
})
test.before.each(async ({ several }) => {
  await several.reset()
  heard = []
})
test.after(async ({ several }) => await several.close())

const refusing = (sortKey: string): DataManager => ({
  tpcBegin: () => undefined,
  commit: () => undefined,
  tpcVote: () => Promise.reject(new Error('no')),
  tpcFinish: () => undefined,
  abort: () => undefined,
  tpcAbort: () => undefined,
  sortKey: () => sortKey,
})

/** Breaks a foreign key, which only a commit finds out. */
async function owned(em: Em): Promise<void> {
  await em.getKysely().insertInto('owned').values({ id: 1 }).execute()
}

for (const roles of [
  ['writer', 'other'],
  ['writer', 'file'],
  ['file', 'file2'],
  ['writer', 'other', 'file'],
]) {
  test(`of ${roles.join(' and ')} each commit is heard when its rows are there`, async ({ several }) => {
    await addIn(several.registry(), roles, 'x')
    assert.equal(
      roles.map(of),
      roles.map(() => COMMITTED),
    )
    // No commit is held up by those who hear of another.
    assert.ok(
      heard.slice(-roles.length).every((each) => each.endsWith(' commit 1')),
      heard.join(', '),
    )
  })

  test(`of ${roles.join(' and ')} each rollback is heard where another resource does not agree`, async ({
    several,
  }) => {
    const error = await rejection(
      several.registry().run(async ({ dbSession, txn }: Em) => {
        for (const role of roles) await dbSession.get(role).insert(Author, { name: 'x' })
        txn.join(refusing('first'))
      }),
    )
    assert.is(error.message, 'no')
    for (const role of roles) {
      assert.not.ok(
        of(role).some((each) => each.startsWith('commit')),
        of(role).join(', '),
      )
      assert.equal(of(role).slice(-2), ROLLED_BACK.slice(-2))
    }
  })
}

for (const roles of [['writer', 'other'], ['writer', 'file'], ['file']]) {
  for (const failing of roles) {
    test(`of ${roles.join(' and ')} all are heard as rolled back where ${failing} cannot commit`, async ({
      several,
    }) => {
      await rejection(
        several.registry().run(async ({ dbSession }: Em) => {
          for (const role of roles) await dbSession.get(role).insert(Author, { name: 'x' })
          await owned(dbSession.get(failing))
        }),
      )
      for (const role of roles) {
        assert.equal(of(role), ['<start 0', 'start 0', '<commit 0', '<rollback 0', 'rollback 0'], role)
      }
    })
  }
}

test('of two that cannot be prepared the one that is committed is heard so, and the other as rolled back', async ({
  several,
}) => {
  await rejection(
    several.registry().run(async ({ dbSession }: Em) => {
      for (const role of ['file', 'file2']) await dbSession.get(role).insert(Author, { name: 'x' })
      await owned(dbSession.get('file2'))
    }),
  )
  assert.equal(of('file'), COMMITTED)
  assert.equal(of('file2'), ['<start 0', 'start 0', '<commit 0', '<rollback 0', 'rollback 0'])
})

test('of a commit whose answer is lost neither end is heard', async ({ several }) => {
  const { wire } = several.place('writer')
  const error = await rejection(
    several.registry().run(async ({ dbSession }: Em) => {
      await dbSession.get('writer').insert(Author, { name: 'x' })
      wire!.cut(/^commit$/, 'after')
    }),
  )
  assert.instance(error, CommitOutcomeUnknownError)
  assert.equal(of('writer'), COMMITTED.slice(0, 3))
})

test('of a decision whose answer is lost, and is found, every commit is heard', async ({ several }) => {
  const { wire } = several.place('writer')
  const registry = await several.warmRegistry()
  heard = []
  await registry.run(async ({ dbSession }: Em) => {
    for (const role of ['writer', 'other']) await dbSession.get(role).insert(Author, { name: 'x' })
    wire!.cut(/commit$/, 'after')
  })
  assert.equal([of('writer'), of('other')], [COMMITTED, COMMITTED])
})

test('a prepared transaction that is left to recovery is not heard as committed', async ({ several }) => {
  const { wire } = several.place('other')
  const registry = await several.warmRegistry()
  heard = []
  const left = await warnings('SQLASSIST_LEFT_PREPARED', async () => {
    await registry.run(async ({ dbSession }: Em) => {
      for (const role of ['writer', 'other']) await dbSession.get(role).insert(Author, { name: 'x' })
      void wire!.cut(/^commit prepared/, 'before').done.then(() => wire!.down())
    })
  })
  await wire!.up()
  assert.is(left.length, 1)
  assert.equal([of('writer'), of('other')], [COMMITTED, COMMITTED.slice(0, 3)])
})

test('what is committed when another resource disagrees later is heard as committed', async ({ several }) => {
  await rejection(
    several.registry().run(async ({ dbSession, txn }: Em) => {
      for (const role of ['writer', 'other']) await dbSession.get(role).insert(Author, { name: 'x' })
      txn.join(refusing('~~last'))
    }),
  )
  assert.equal([of('writer'), of('other')], [COMMITTED, COMMITTED])
})

for (const pipelineCommit of [false, true]) {
  test(`with pipelineCommit: ${pipelineCommit} a commit is heard before and after`, async ({ several }) => {
    const registry = several.registry({}, { writer: { pipelineCommit } })
    await registry.run(({ dbSession }: Em) => void dbSession.get('writer').create(Author, { name: 'x' }))
    assert.equal(of('writer'), COMMITTED)
  })
}

test.run()
