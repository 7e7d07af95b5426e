import { defineEntity, p, ref, Type } from '@mikro-orm/core'
import * as assert from 'uvu/assert'
import { DetachedEntityError, EngineRegistry } from '../../source/index.ts'
import { DIALECTS, openDatabase, type TestOrm } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import type { SecondLook } from '../support/second-look.ts'
import { suite } from '../support/suite.ts'

/** Cannot be read while `broken` is set. */
class Fragile extends Type<string, string> {
  static broken = false
  override convertToJSValue(value: string): string {
    if (Fragile.broken) throw new RangeError('it cannot be read')
    return value
  }
  override getColumnType(): string {
    return 'varchar(255)'
  }
}
const Person = defineEntity({
  name: 'Person',
  properties: {
    id: p.integer().primary(),
    name: p.string(),
    desk: () => p.oneToOne(Desk).inversedBy('person').nullable().orphanRemoval(),
    chores: () => p.oneToMany(Chore).mappedBy('person'),
    helps: () => p.oneToMany(Chore).mappedBy('helper'),
  },
})
const Desk = defineEntity({
  name: 'Desk',
  properties: { id: p.integer().primary(), person: () => p.oneToOne(Person).mappedBy('desk').nullable() },
})
/** Known by its person and a number. */
const Chore = defineEntity({
  name: 'Chore',
  properties: {
    person: () => p.manyToOne(Person).primary(),
    number: p.integer().primary(),
    text: p.type(Fragile),
    helper: () => p.manyToOne(Person).ref().nullable(),
  },
})

interface World {
  orm: TestOrm
  look: SecondLook
  registry: EngineRegistry<any>
  close(): Promise<void>
}
interface Unit {
  em: any
  txn: any
}
type Work = (em: any) => Promise<void>

/** Two ways to work with second objects for the rows, and to take it all back. */
const WAYS: Record<string, (unit: Unit, work: Work) => Promise<void>> = {
  async 'the rollback of a savepoint'({ em, txn }, work) {
    const savepoint = await txn.savepoint()
    em.clear()
    await work(em)
    await savepoint.rollback()
  },
  async 'a failing em.transactional()'({ em }, work) {
    const failing = em.transactional(
      async (nested: any) => {
        await work(nested)
        throw new RangeError('undo')
      },
      { clear: true },
    )
    assert.is((await rejection(failing)).message, 'undo')
  },
}

for (const dialect of DIALECTS) {
  const test = suite<World>(`relations of what a rollback reads anew on ${dialect}`)
  test.before(async (world) => {
    Object.assign(world, await openDatabase(dialect, { config: { entities: [Person, Desk, Chore] } }))
    world.registry = new EngineRegistry<any>({ writer: world.orm })
  })
  test.before.each(async ({ look }) => {
    Fragile.broken = false
    for (const table of ['chore', 'person', 'desk']) await look.rows(`delete from ${table}`)
    await look.rows(`insert into desk (id) values (1), (2)`)
    await look.rows(`insert into person (id, name, desk_id) values (1, 'Ada', 1), (2, 'Bob', null)`)
    await look.rows(
      `insert into chore (person_id, number, text, helper_id) values (1, 1, 'a', 2), (1, 2, 'b', 2), (2, 1, 'c', 1)`,
    )
  })
  test.after((world) => world.close())

  const unit = (registry: EngineRegistry<any>, work: (unit: Unit) => Promise<void>): Promise<void> =>
    registry.run(({ dbSession, txn }: any) => work({ em: dbSession.writer, txn }))

  for (const [name, undo] of Object.entries(WAYS)) {
    test(`${name} does not count as a change of an object for whose row another one stands`, async ({ registry }) => {
      await unit(registry, async ({ em, txn }) => {
        const people = await em.find(Person, {}, { orderBy: { id: 'asc' } })
        let second: any
        await undo({ em, txn }, async (inside) => {
          second = await inside.findOneOrFail(Person, 1, { populate: ['chores', 'helps'] })
        })
        await em.flush()
        const [first] = second.chores.getItems()
        assert.equal([first.person === people[0], first.helper.unwrap() === people[1]], [true, true])
        assert.equal([second.chores.length, second.helps.length], [2, 1])
        second.helps.removeAll()
        const error = await rejection(em.flush())
        assert.instance(error, DetachedEntityError)
        assert.match(error.message, 'Person ["1"]')
        await txn.abort()
      })
    })

    test(`${name} leaves a collection as it was, without what was loaded later`, async ({ registry }) => {
      await unit(registry, async ({ em, txn }) => {
        const person = await em.findOneOrFail(Person, 1, { populate: ['helps'] })
        await em.insert(Chore, { person: 2, number: 2, text: 'd', helper: 1 })
        let chore: any
        await undo({ em, txn }, async (inside) => {
          chore = await inside.findOneOrFail(Chore, [2, 2])
        })
        assert.is(chore.helper.unwrap(), person)
        assert.equal([person.helps.length, person.helps.isDirty()], [1, false])
      })
    })

    test(`${name} over, a relation that is set changes the other side as ever`, async ({ registry }) => {
      await unit(registry, async ({ em, txn }) => {
        const people = await em.find(Person, {}, { orderBy: { id: 'asc' }, populate: ['helps'] })
        await em.insert(Chore, { person: 2, number: 2, text: 'd', helper: 1 })
        let chore: any
        await undo({ em, txn }, async (inside) => {
          chore = await inside.findOneOrFail(Chore, [2, 2])
        })
        chore.helper = ref(people[1])
        assert.equal([people[1].helps.length, people[1].helps.contains(chore)], [3, true])
      })
    })

    test(`${name} removes no row as the orphan of a relation that it takes back`, async ({ registry, look }) => {
      await unit(registry, async ({ em, txn }) => {
        await em.count(Person)
        await undo({ em, txn }, async (inside) => {
          const person = await inside.findOneOrFail(Person, 1)
          person.desk = await inside.findOneOrFail(Desk, 2)
          await inside.flush()
          assert.equal(await inside.execute('select id from desk'), [{ id: 2 }])
        })
      })
      assert.equal(await look.rows('select id from desk order by id'), [{ id: 1 }, { id: 2 }])
      assert.equal(await look.rows('select desk_id from person order by id'), [{ desk_id: 1 }, { desk_id: null }])
    })

    test(`${name} gives an entity whose row is gone relations to the objects that stand for their rows`, async ({
      registry,
      look,
    }) => {
      await unit(registry, async ({ em, txn }) => {
        const people = await em.find(Person, {}, { orderBy: { id: 'asc' } })
        let chore: any
        await undo({ em, txn }, async (inside) => {
          await inside.insert(Chore, { person: 1, number: 3, text: 'd', helper: 2 })
          chore = await inside.findOneOrFail(Chore, [1, 3])
        })
        assert.equal([chore.person === people[0], chore.helper.unwrap() === people[1]], [true, true])
        em.persist(chore)
      })
      assert.is(await look.value('select helper_id from chore where person_id = 1 and number = 3'), 2)
    })

    test(`${name} leaves its relations to an entity that cannot be read`, async ({ registry }) => {
      await unit(registry, async ({ em, txn }) => {
        await em.count(Person)
        let chore: any
        const undoing = undo({ em, txn }, async (inside) => {
          chore = await inside.findOneOrFail(Chore, [1, 1])
          Fragile.broken = true
        })
        await undoing.catch((error: unknown) => assert.is((error as Error).message, 'it cannot be read'))
        assert.equal([chore.person.id, chore.helper.id], [1, 2])
        await txn.abort()
      })
    })
  }

  test.run()
}
