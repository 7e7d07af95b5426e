import { defineEntity, p, Type } from '@mikro-orm/core'
import * as assert from 'uvu/assert'
import { EngineRegistry, EntityNotRestoredError } from '../../source/index.ts'
import { DIALECTS, openDatabase, type TestOrm } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import type { SecondLook } from '../support/second-look.ts'
import { suite } from '../support/suite.ts'

class Amount {
  value: number
  constructor(value: number) {
    this.value = value
  }
}
/** All of it is seen from outside, at any depth, and it refers to itself. */
class Price {
  amount: Amount
  readonly byCountry = new Map([['no', new Amount(1)]])
  readonly self: Price = this

  constructor(value: number) {
    this.amount = new Amount(value)
  }
  toJSON(): unknown {
    return { amount: this.amount, no: this.byCountry.get('no') }
  }
}
/** Keeps its value to itself. */
class Balance {
  #value: number
  constructor(value: number) {
    this.#value = value
  }
  get value(): number {
    return this.#value
  }
  add(more: number): void {
    this.#value += more
  }
  toJSON(): unknown {
    return { value: this.#value }
  }
}
class BalanceType extends Type<Balance, number> {
  override convertToDatabaseValue(balance: Balance): number {
    return balance.value
  }
  override convertToJSValue(value: number): Balance {
    return new Balance(value)
  }
  override getColumnType(): string {
    return 'int'
  }
  override compareAsType(): string {
    return 'number'
  }
}

const Place = defineEntity({
  name: 'Place',
  embeddable: true,
  properties: { street: p.string(), sold: p.json<any>().nullable() },
})
const Item = defineEntity({
  name: 'Item',
  properties: {
    id: p.integer().primary(),
    price: p.json<any>().nullable(),
    balance: p.type(BalanceType).nullable(),
    place: () => p.embedded(Place).nullable(),
    other: p.string().nullable(),
  },
})

interface World {
  orm: TestOrm
  look: SecondLook
  registry: EngineRegistry<any>
  close(): Promise<void>
}

/** Where an object that hides its value may be. */
const PLACES: Record<string, (balance: Balance) => object> = {
  'a JSON property': (balance) => ({ price: balance }),
  'an object in a JSON property': (balance) => ({ price: { deep: [balance] } }),
  'a custom type': (balance) => ({ balance }),
  'an embeddable': (balance) => ({ place: { street: 'a', sold: balance } }),
}

for (const dialect of DIALECTS) {
  const test = suite<World>(`objects of classes and rollbacks on ${dialect}`)
  test.before(async (world) => {
    Object.assign(world, await openDatabase(dialect, { config: { entities: [Place, Item] } }))
    world.registry = new EngineRegistry<any>({ writer: world.orm })
  })
  test.before.each(({ look }) => look.rows('delete from item').then(() => undefined))
  test.after((world) => world.close())

  const stored = async ({ look }: World): Promise<Record<string, unknown>> => {
    const [row] = await look.rows('select price, balance, place_sold, other from item')
    return JSON.parse(JSON.stringify(row), (_, value) =>
      typeof value === 'string' && /^[{[]/.test(value) ? JSON.parse(value) : value,
    )
  }

  test('an object of a class inside an object of a class comes back', async (world) => {
    await world.registry.run(async ({ dbSession: { writer }, txn }: any) => {
      const item = writer.create(Item, { id: 1, price: new Price(1) })
      const savepoint = await txn.savepoint()
      const { amount, byCountry } = item.price
      for (const undo of ['savepoint', 'transactional']) {
        const change = async (): Promise<void> => {
          amount.value = 2
          byCountry.get('no').value = 2
          await writer.flush()
          item.price.amount = new Amount(3)
        }
        if (undo === 'savepoint') {
          await change()
          await savepoint.rollback()
        } else {
          await rejection(writer.transactional(() => change().then(() => Promise.reject(new Error('undo')))))
        }
        assert.equal([item.price.amount === amount, amount.value, byCountry.get('no').value], [true, 1, 1])
      }
      item.other = 'written'
    })
    const { price, other } = await stored(world)
    assert.equal([price, other], [{ amount: { value: 1 }, no: { value: 1 } }, 'written'])
  })

  for (const [place, values] of Object.entries(PLACES)) {
    test(`what an object hides in ${place} is not stored at its later value: the savepoint's rollback refuses`, async (world) => {
      const error: any = await rejection(
        world.registry.run(async ({ dbSession: { writer }, txn }: any) => {
          const balance = new Balance(1)
          writer.create(Item, { id: 1, ...values(balance) })
          const savepoint = await txn.savepoint()
          balance.add(1)
          await writer.flush()
          await savepoint.rollback()
        }),
      )
      assert.instance(error, EntityNotRestoredError)
      assert.match(error.message, /"writer".*(price|balance|place) of Item \["1"\]/)
      assert.is(await world.look.value('select count(*) from item'), 0)
    })

    test(`what an object hides in ${place} fails the flush after em.transactional(), until it is replaced`, async (world) => {
      const run = (replace: boolean): Promise<unknown> =>
        world.registry.run(async ({ dbSession: { writer } }: any) => {
          const balance = new Balance(1)
          const item = writer.create(Item, { id: 1, ...values(balance) })
          const work = async (em: any): Promise<void> => {
            balance.add(1)
            await em.flush()
            throw new RangeError('undo')
          }
          assert.instance(await rejection(writer.transactional(work)), RangeError)
          if (replace) Object.assign(item, values(new Balance(7)))
        })
      assert.instance(await rejection(run(false)), EntityNotRestoredError)
      assert.is(await world.look.value('select count(*) from item'), 0)
      await run(true)
      assert.match(JSON.stringify(await stored(world)), /7/)
    })

    test(`what an object hides in ${place} is no trouble where it did not change`, async (world) => {
      await world.registry.run(async ({ dbSession: { writer }, txn }: any) => {
        const balance = new Balance(1)
        const item = writer.create(Item, { id: 1, ...values(balance) })
        const savepoint = await txn.savepoint()
        Object.assign(item, values(new Balance(5)))
        await writer.flush()
        await savepoint.rollback()
        balance.add(1)
      })
      assert.match(JSON.stringify(await stored(world)), /2/)
    })
  }

  test.run()
}
