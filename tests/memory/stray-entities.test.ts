import { defineEntity, p, Type, wrap } from '@mikro-orm/core'
import * as assert from 'uvu/assert'
import { DetachedEntityError, EngineRegistry } from '../../source/index.ts'
import { sessionOfEntityManager } from '../../source/session/session.ts'
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
const Vase = defineEntity({ name: 'Vase', properties: { id: p.integer().primary(), colour: p.type(Fragile) } })
const Shelf = defineEntity({
  name: 'Shelf',
  properties: {
    room: p.integer().primary(),
    number: p.integer().primary(),
    label: p.string(),
    first: () => p.manyToOne(Vase).nullable(),
  },
})
/** Known by what it lies under. */
const Cloth = defineEntity({
  name: 'Cloth',
  properties: { vase: () => p.oneToOne(Vase).primary(), colour: p.string(), note: p.string().lazy().nullable() },
})

interface World {
  orm: TestOrm
  look: SecondLook
  registry: EngineRegistry<any>
  close(): Promise<void>
}

for (const dialect of DIALECTS) {
  const test = suite<World>(`what a rollback cannot put right on ${dialect}`)
  test.before(async (world) => {
    Object.assign(world, await openDatabase(dialect, { config: { entities: [Vase, Shelf, Cloth] } }))
    world.registry = new EngineRegistry<any>({ writer: world.orm })
  })
  test.before.each(async ({ look }) => {
    Fragile.broken = false
    for (const table of ['cloth', 'shelf', 'vase']) await look.rows(`delete from ${table}`)
    await look.rows(`insert into vase (id, colour) values (1, 'red'), (2, 'blue')`)
    await look.rows(`insert into shelf (room, number, label, first_id) values (1, 1, 'a', 1), (1, 2, 'b', null)`)
    await look.rows(`insert into cloth (vase_id, colour, note) values (1, 'white', 'long'), (2, 'black', null)`)
  })
  test.after((world) => world.close())

  const failing = async (em: any, work: (em: any) => unknown, options?: object): Promise<void> => {
    const error = await rejection(
      em.transactional(async (nested: any) => {
        await work(nested)
        throw new RangeError('undo')
      }, options),
    )
    assert.is(error.message, 'undo')
  }

  test('what cannot be read anew fails the rollback of the savepoint', async ({ registry, look }) => {
    const error = await rejection(
      registry.run(async ({ dbSession: { writer }, txn }: any) => {
        const savepoint = await txn.savepoint()
        const vase = await writer.findOneOrFail(Vase, 1)
        vase.colour = 'green'
        Fragile.broken = true
        await savepoint.rollback()
      }),
    )
    assert.is(error.message, 'it cannot be read')
    assert.is(await look.value('select colour from vase where id = 1'), 'red')
  })

  test('what cannot be read anew after em.transactional() may not be changed, and its own error goes on', async ({
    registry,
    look,
  }) => {
    const error: any = await rejection(
      registry.run(async ({ dbSession: { writer } }: any) => {
        let vase: any
        await failing(writer, async (em) => {
          vase = await em.findOneOrFail(Vase, 1)
          Fragile.broken = true
        })
        await writer.flush()
        vase.colour = 'green'
      }),
    )
    assert.instance(error, DetachedEntityError)
    assert.equal([error.cause.message, /Vase \["1"\].*"writer"/.test(error.message)], ['it cannot be read', true])
    assert.is(await look.value('select colour from vase where id = 1'), 'red')
  })

  test('after em.rollback() nothing is held against what was in memory', async ({ registry, look }) => {
    await registry.run(async ({ dbSession: { writer } }: any) => {
      let vase: any
      await failing(writer, async (em) => {
        await em.insert(Vase, { id: 3, colour: 'inside' })
        vase = await em.findOneOrFail(Vase, 3)
      })
      vase.colour = 'lost'
      assert.instance(await rejection(writer.flush()), DetachedEntityError)
      await writer.rollback()
      writer.create(Vase, { id: 4, colour: 'new' })
    })
    assert.equal(await look.rows('select id from vase order by id'), [{ id: 1 }, { id: 2 }, { id: 4 }])
  })

  test('a row that is gone is inserted when what refers to it is written', async ({ registry, look }) => {
    await registry.run(async ({ dbSession: { writer } }: any) => {
      const shelf = await writer.findOneOrFail(Shelf, { room: 1, number: 2 })
      let vase: any
      await failing(writer, async (em) => {
        await em.insert(Vase, { id: 3, colour: 'inside' })
        vase = await em.findOneOrFail(Vase, 3)
      })
      vase.colour = 'outside'
      shelf.first = vase
    })
    assert.equal(await look.rows('select colour from vase where id = 3'), [{ colour: 'outside' }])
  })

  test('keys of several columns, keys that are entities, and what is loaded in part are read anew as they are', async ({
    registry,
    look,
  }) => {
    await registry.run(async ({ dbSession: { writer }, txn }: any) => {
      await writer.count(Vase)
      const savepoint = await txn.savepoint()
      const shelves = await writer.find(Shelf, {}, { orderBy: { number: 'asc' }, populate: ['first'] })
      const cloths = await writer.find(Cloth, {}, { orderBy: { vase: 'asc' }, populate: ['note'] })
      const parts = await writer.find(Vase, { id: 2 }, { fields: ['id'] })
      for (const shelf of shelves) shelf.label = 'changed'
      for (const cloth of cloths) cloth.note = 'changed'
      cloths[0].colour = 'changed'
      shelves[1].first = parts[0]
      await writer.flush()
      await savepoint.rollback()
      assert.equal(
        [
          shelves.map(({ label }: any) => label),
          shelves[1].first,
          cloths.map(({ note }: any) => note),
          cloths[0].colour,
        ],
        [['a', 'b'], null, ['long', null], 'white'],
      )
      assert.equal([await writer.findOne(Cloth, 1), await writer.findOne(Shelf, [1, 2])], [cloths[0], shelves[1]])
      await writer.flush()
      for (const shelf of shelves) shelf.label += '!'
      cloths[0].note = 'longer'
    })
    const labels = await look.rows('select label, first_id from shelf order by number')
    assert.equal(labels, [
      { label: 'a!', first_id: 1 },
      { label: 'b!', first_id: null },
    ])
    assert.is(await look.value('select note from cloth where vase_id = 1'), 'longer')
  })

  test("a scope with propagation 'required' is undone alone, as a nested one is", async ({ registry, look }) => {
    await registry.run(async ({ dbSession: { writer } }: any) => {
      const vase = await writer.findOneOrFail(Vase, 1)
      for (const propagation of ['required', 'nested']) {
        await writer.transactional(
          async (outer: any) => {
            vase.colour = propagation
            const work = async (em: any): Promise<void> => {
              vase.colour = 'inside'
              await em.flush()
            }
            await failing(outer, work, { propagation })
          },
          { propagation },
        )
        assert.is(vase.colour, propagation)
      }
      await failing(writer, () => void (vase.colour = 'inside'), { propagation: 'required' })
    })
    assert.is(await look.value('select colour from vase where id = 1'), 'nested')
  })

  test('a scope that only joins is not undone in memory, as it is not in the database', async ({ registry, look }) => {
    for (const propagation of ['supports', 'mandatory']) {
      await registry.run(async ({ dbSession: { writer } }: any) => {
        const vase = await writer.findOneOrFail(Vase, 1)
        await failing(writer, () => void (vase.colour = propagation), { propagation })
        assert.is(vase.colour, propagation)
      })
      assert.is(await look.value('select colour from vase where id = 1'), propagation)
    }
  })

  test('what was remembered is forgotten at the end of each', async ({ registry }) => {
    await registry.run(async ({ dbSession: { writer } }: any) => {
      const isEmpty = (): unknown => sessionOfEntityManager(writer)?.savepoints?.isEmpty
      await writer.transactional(async (em: any) => {
        assert.not(isEmpty())
        await failing(em, () => undefined)
      })
      assert.ok(isEmpty())
      await failing(writer, async (em) => {
        em.create(Vase, { id: 20, colour: 'inside' })
        await em.flush()
        await em.transactional(() => undefined)
      })
      assert.ok(isEmpty())
    })
  })

  test('a mere reference stays one, without what was assigned to it', async ({ registry, look }) => {
    await registry.run(async ({ dbSession: { writer } }: any) => {
      let vase: any
      await failing(writer, (em) => {
        vase = em.getReference(Vase, 2)
        vase.colour = 'inside'
      })
      assert.equal([wrap(vase).isInitialized(), vase.colour, writer.getReference(Vase, 2)], [false, undefined, vase])
      await writer.flush()
      assert.is(await look.value('select colour from vase where id = 2'), 'blue')
      vase.colour = 'outside'
    })
    assert.is(await look.value('select colour from vase where id = 2'), 'outside')
  })

  test('an entity that a rollback made new again has no place after another rollback, though it was removed', async ({
    registry,
    look,
  }) => {
    if (dialect === 'postgresql') await look.rows(`select setval('vase_id_seq', 10)`)
    await registry.run(async ({ dbSession, txn }: any) => {
      const em = dbSession.writer
      await em.find(Shelf, {})
      const outer = await txn.savepoint()
      const inner = await txn.savepoint()
      const vase = em.create(Vase, { colour: 'green' })
      await em.flush()
      await inner.rollback()
      assert.is(vase.id, undefined)
      em.remove(vase)
      await em.flush()
      await outer.rollback()
      const managed = [...em.getUnitOfWork().getIdentityMap()]
      assert.not(managed.includes(vase))
      await em.flush()
    })
    assert.is(await look.value('select count(*) from vase'), 2)
  })

  test.run()
}
