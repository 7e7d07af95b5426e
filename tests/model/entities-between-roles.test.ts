import * as assert from 'uvu/assert'
import { defineEntity, p } from '@mikro-orm/core'
import {
  copyTo,
  EngineRegistry,
  ForeignEntityError,
  NotAnEntityError,
  NotASessionError,
  requestOf,
  sessionOf,
} from '../../source/index.ts'
import { newDatabase, openOrm, type Dialect, type TestOrm } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { secondLook, type SecondLook } from '../support/second-look.ts'
import { suite } from '../support/suite.ts'

const Address = defineEntity({
  name: 'Address',
  embeddable: true,
  properties: { city: p.string(), zip: p.string().nullable() },
})
const Team = defineEntity({
  name: 'Team',
  properties: { id: p.integer().primary(), name: p.string() },
})
const Member = defineEntity({
  name: 'Member',
  properties: {
    id: p.integer().primary(),
    name: p.string(),
    secret: p.string().hidden(),
    active: p.boolean(),
    joined: p.datetime(),
    settings: p.json<object>().nullable(),
    nickname: p.string().nullable(),
    address: () => p.embedded(Address),
    team: () => p.manyToOne(Team).nullable(),
  },
})

interface World {
  registry: EngineRegistry<any>
  look: SecondLook
  archiveLook: SecondLook
  orms: TestOrm[]
}

const PAIRS: readonly [Dialect, Dialect][] = [
  ['sqlite', 'sqlite'],
  ['postgresql', 'postgresql'],
  ['sqlite', 'postgresql'],
  ['postgresql', 'sqlite'],
]

for (const [from, to] of PAIRS) {
  const test = suite<World>(`entities between roles, from ${from} to ${to}`)

  test.before(async (world) => {
    const config = { entities: [Member, Team, Address] }
    const [main, archive] = [await newDatabase(from), await newDatabase(to)]
    const [reader, writer, archiver] = [
      await openOrm(main, { config }),
      await openOrm(main, { config }),
      await openOrm(archive, { config }),
    ]
    world.orms = [reader, writer, archiver]
    world.look = await secondLook(main)
    world.archiveLook = await secondLook(archive)
    world.registry = new EngineRegistry({ reader: { orm: reader, readOnly: true }, writer, archive: archiver })
  })
  test.before.each(async ({ registry, look, archiveLook }) => {
    for (const each of [look, archiveLook]) {
      await each.rows('delete from member')
      await each.rows('delete from team')
    }
    const joined = new Date('2026-01-02T03:04:05.678Z')
    await registry.run(({ dbSession }) => {
      for (const em of [dbSession.writer, dbSession.archive] as any[]) {
        em.create(Team, { id: 1, name: 'first' })
        em.create(Member, {
          id: 1,
          name: 'Ada',
          secret: 's3cret',
          active: true,
          joined,
          settings: { theme: 'dark' },
          address: { city: 'Ulm', zip: null },
          team: 1,
        })
      }
    })
  })
  test.after(async ({ look, archiveLook, orms }) => {
    await look.close()
    await archiveLook.close()
    for (const orm of orms) await orm.close()
  })

  test('an entity that another session manages is refused, and the error names copyTo', async ({ registry }) => {
    await registry.run(async ({ dbSession }) => {
      const { reader, archive } = dbSession as any
      const member = await reader.findOneOrFail(Member, 1)
      for (const use of [
        () => archive.persist(member),
        () => archive.persist([member]),
        () => archive.merge(member),
        () => archive.merge(Member, member),
        () => archive.remove(member),
      ]) {
        assert.throws(use, (error: unknown) => {
          assert.instance(error, ForeignEntityError)
          assert.match((error as Error).message, /Member.*"reader" manages.*copyTo\(entity, session\)/s)
          return true
        })
      }
    })
  })

  test('a change that a flush would reach by way of a reference is refused as well', async ({ registry }) => {
    const error = await rejection(
      registry.run(async ({ dbSession }) => {
        const { reader, archive } = dbSession as any
        const team = await reader.findOneOrFail(Team, 1)
        const member = await archive.findOneOrFail(Member, 1)
        member.team = team
        team.name = 'changed on the reader'
        await archive.flush()
      }),
    )
    assert.instance(error, ForeignEntityError)
  })

  test('the copy has what the original has, and its later changes are flushed by the target alone', async (world) => {
    const { registry, look, archiveLook } = world
    await registry.run(async ({ dbSession }) => {
      const { reader, archive } = dbSession as any
      const original = await reader.findOneOrFail(Member, 1)
      const copy: any = copyTo(original, archive)
      assert.is.not(copy, original)
      for (const name of ['id', 'name', 'secret', 'active', 'nickname']) assert.is(copy[name], original[name], name)
      assert.is(copy.joined.toISOString(), '2026-01-02T03:04:05.678Z')
      assert.equal(copy.settings, { theme: 'dark' })
      assert.is(copy.address.city, 'Ulm')
      assert.is(copy.team.id, 1)
      assert.is(sessionOf(copy), archive)
      assert.is(sessionOf(copy.team), archive)
      assert.is(sessionOf(original), reader)
      copy.name = 'Grace'
      copy.address.city = 'Bonn'
      copy.settings = { theme: 'light' }
    })
    assert.equal(await archiveLook.rows('select name, address_city, secret, team_id from member'), [
      { name: 'Grace', address_city: 'Bonn', secret: 's3cret', team_id: 1 },
    ])
    assert.equal(await look.rows('select name, address_city from member'), [{ name: 'Ada', address_city: 'Ulm' }])
  })

  test('a copy that nobody changes makes nothing to commit', async ({ registry }) => {
    await registry.run(async ({ dbSession, txn }) => {
      const { reader, archive } = dbSession as any
      copyTo(await reader.findOneOrFail(Member, 1), archive)
      await archive.flush()
      void txn
      assert.equal(archive.getUnitOfWork().getChangeSets(), [])
    })
  })

  test('changes of the original that were not flushed are changes of the copy', async ({ registry, archiveLook }) => {
    const error = await rejection(
      registry.run(async ({ dbSession }) => {
        const { reader, archive } = dbSession as any
        const original = await reader.findOneOrFail(Member, 1)
        original.name = 'changed first'
        original.team = null
        copyTo(original, archive)
        await archive.flush()
        assert.equal((await archive.execute('select name, team_id from member'))[0], {
          name: 'changed first',
          team_id: null,
        })
      }),
    )
    assert.match(error.message, /"reader" is read only/, 'and the original is still a change that goes nowhere')
    assert.is(await archiveLook.value('select name from member'), 'Ada')
  })

  test('copyTo refuses what is no entity, has no key, or goes to no session', async ({ registry, orms }) => {
    await registry.run(async ({ dbSession }) => {
      const { reader, archive } = dbSession as any
      assert.throws(
        () => copyTo({}, archive),
        (error: unknown) => error instanceof NotAnEntityError,
      )
      const fresh = reader.create(Team, { name: 'new' }, { persist: false })
      assert.throws(() => copyTo(fresh, archive), /without a primary key/)
      const team = await reader.findOneOrFail(Team, 1)
      const outside = (orms[0] as any).em.fork({ disableContextResolution: true })
      assert.throws(
        () => copyTo(team, outside),
        (error: unknown) => error instanceof NotASessionError,
      )
    })
  })

  test('an entity whose session has ended may be taken over', async ({ registry, look }) => {
    const member = await registry.run(({ dbSession }) => (dbSession as any).reader.findOneOrFail(Member, 1))
    await registry.run(async ({ dbSession }) => {
      const merged = (dbSession as any).writer.merge(member)
      merged.name = 'taken over'
    })
    assert.is(await look.value('select name from member'), 'taken over')
  })

  test('sessionOf and requestOf find their way, or nothing', async ({ registry, orms }) => {
    const owner = { the: 'request' }
    const unit = registry.start({ owner, anyPreference: [], disableTransaction: false })
    await unit.tm.begin()
    const em: any = unit.session('writer').em
    const member = await em.findOneOrFail(Member, 1)
    assert.is(requestOf(member), owner)
    assert.is(requestOf(em), owner)
    assert.is(sessionOf(member), em)
    await em.transactional((nested: any) => assert.is(requestOf(nested), owner))
    await unit.abort('doomed')
    assert.is(sessionOf({}), undefined)
    assert.is(requestOf({}), undefined)
    assert.is(requestOf(orms[0]!.em), undefined)
  })

  test.run()
}
