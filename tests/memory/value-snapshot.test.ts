import * as assert from 'uvu/assert'
import { mayHide } from '../../source/memory/hidden-contents.ts'
import { snapshotOf, type IsByReference } from '../../source/memory/value-snapshot.ts'
import { suite } from '../support/suite.ts'

class Money {
  amount: number
  tags: string[] = []
  currency: { code: string } | Currency = { code: 'EUR' }

  constructor(amount: number) {
    this.amount = amount
  }
}
class Currency {
  code = 'CHF'
}

const asUsual: IsByReference = () => false

interface Case {
  readonly name: string
  readonly make: () => any
  readonly change: (value: any) => void
}
const CASES: readonly Case[] = [
  { name: 'a date', make: () => new Date(5), change: (date: Date) => date.setTime(6) },
  { name: 'a buffer', make: () => Buffer.from('abc'), change: (buffer: Buffer) => buffer.write('x') },
  { name: 'a part of a buffer', make: () => Buffer.from('abc').subarray(1), change: (part: Buffer) => part.fill(0) },
  { name: 'a typed array', make: () => new Float32Array([1, 2]), change: (array: Float32Array) => (array[1] = 3) },
  { name: 'a map', make: () => new Map([['a', 1]]), change: (map: Map<string, number>) => map.set('a', 2) },
  { name: 'a map that grows', make: () => new Map([['a', 1]]), change: (map: Map<string, number>) => map.set('b', 2) },
  { name: 'a set', make: () => new Set([1]), change: (set: Set<number>) => set.clear() },
  { name: 'an array that grows', make: () => [1, 2], change: (array: number[]) => array.push(3) },
  { name: 'an array that shrinks', make: () => [1, 2], change: (array: number[]) => array.pop() },
  { name: 'an array in another order', make: () => [1, 2], change: (array: number[]) => array.unshift(array.pop()!) },
  {
    name: 'an array with holes',
    make: () => Object.assign(Array(3), { 0: 1, 2: 3 }),
    change: (array: number[]) => array.push(4),
  },
  { name: 'a property', make: () => ({ a: 1 }), change: (object) => (object.a = 2) },
  { name: 'a new property', make: () => ({ a: 1 }), change: (object) => (object.b = 2) },
  { name: 'a property taken away', make: () => ({ a: 1, b: 2 }), change: (object) => delete object.b },
  { name: 'a property that becomes undefined', make: () => ({ a: 1 }), change: (object) => (object.a = undefined) },
  { name: 'a deep property', make: () => ({ a: [{ b: new Date(1) }] }), change: (object) => object.a[0].b.setTime(2) },
  { name: 'a deep object replaced', make: () => ({ a: { b: 1 } }), change: (object) => (object.a = { b: 2 }) },
  {
    name: 'an object without prototype',
    make: () => Object.assign(Object.create(null), { a: 1 }),
    change: (o) => (o.a = 2),
  },
  { name: 'an object of a class', make: () => new Money(1), change: (money: Money) => (money.amount = 2) },
  { name: 'plain data in one', make: () => new Money(1), change: (money: Money) => money.tags.push('new') },
  {
    name: 'an object of a class in one',
    make: () => Object.assign(new Money(1), { of: new Money(2) }),
    change: (m) => (m.of.amount = 3),
  },
  {
    name: 'the bytes of a buffer',
    make: () => new Uint8Array([1, 2]).buffer,
    change: (bytes: ArrayBuffer) => new Uint8Array(bytes).fill(0),
  },
  { name: 'a property of a date', make: () => Object.assign(new Date(5), { a: 1 }), change: (date) => (date.a = 2) },
  {
    name: 'a date in one',
    make: () => Object.assign(new Money(1), { at: new Date(1) }),
    change: (m) => m.at.setTime(2),
  },
]

const test = suite('value snapshots')

for (const { name, make, change } of CASES) {
  test(`${name} comes back as the same object with its contents, again and again`, () => {
    const value = make()
    const snapshot = snapshotOf(value, asUsual)
    assert.ok(snapshot.matches(value))
    for (const _ of ['once', 'twice']) {
      change(value)
      assert.not(snapshot.matches(value))
      assert.is(snapshot.restore(), value)
      assert.equal(value, make())
      assert.ok(snapshot.matches(value))
    }
  })
}

test('a part that was replaced comes back as the same object', () => {
  const part = { b: 1 }
  const value = { part }
  const snapshot = snapshotOf(value, asUsual)
  part.b = 2
  value.part = { b: 3 }
  snapshot.restore()
  assert.is(value.part, part)
  assert.is(part.b, 1)
})

test('objects of classes come back at any depth, in maps and sets too', () => {
  const money = new Money(1)
  const currency = (money.currency = new Currency())
  const deep = { money, byName: new Map([['a', new Money(2)]]), all: new Set([new Money(3)]) }
  const snapshot = snapshotOf(deep, asUsual)
  currency.code = 'USD'
  deep.byName.get('a')!.amount = 20
  for (const one of deep.all) one.amount = 30
  assert.not(snapshot.matches(deep))
  snapshot.restore()
  assert.equal([currency.code, deep.byName.get('a')!.amount, [...deep.all][0]!.amount], ['CHF', 2, 3])
  assert.ok(snapshot.matches(deep))
})

test('an object may be kept by reference, wherever it is', () => {
  const [left, money] = [new Currency(), new Money(1)]
  money.currency = left
  const snapshot = snapshotOf(money, (value) => value === left)
  left.code = 'USD'
  money.amount = 2
  snapshot.restore()
  assert.equal([left.code, money.amount], ['USD', 1])
})

test('properties come back in their order, since JSON has one', () => {
  const value: Record<string, number> = { a: 1, b: 2, c: 3 }
  const snapshot = snapshotOf(value, asUsual)
  delete value['a']
  value['a'] = 4
  assert.not(snapshot.matches(value))
  snapshot.restore()
  assert.is(JSON.stringify(value), '{"a":1,"b":2,"c":3}')
})

test('properties that are symbols, or that are not listed, come back too', () => {
  const key = Symbol('key')
  const value: any = Object.defineProperty({ [key]: 1 }, 'unlisted', { value: { a: 1 }, writable: true })
  const snapshot = snapshotOf(value, asUsual)
  value[key] = 2
  value.unlisted.a = 2
  snapshot.restore()
  assert.equal([value[key], value.unlisted.a], [1, 1])
})

test('what an object may hide is known by the methods and accessors that could show it', () => {
  const open = [{}, [], new Date(), new Map(), new Set(), Buffer.from(''), new Uint8Array(), Object.create(null)]
  const accessor = {
    get now() {
      return 1
    },
  }
  class Shown extends Money {
    show(): number {
      return this.amount
    }
  }
  class More extends Shown {}
  const closed = [new Shown(1), new More(1), new URL('http://a'), accessor]
  assert.equal([[...open, new Money(1)].some(mayHide), closed.every(mayHide)], [false, true])
})

interface Circle {
  a: number
  self?: { value: Circle }
}

test('circles are no trouble', () => {
  const value: Circle = { a: 1 }
  value.self = { value }
  const snapshot = snapshotOf(value, asUsual)
  assert.ok(snapshot.matches(value))
  value.a = 2
  assert.not(snapshot.matches(value))
  snapshot.restore()
  assert.equal([value.a, value.self?.value === value], [1, true])
})

test('what is frozen, and accessors without a setter, are no trouble', () => {
  const value = Object.freeze({
    inner: { a: 1 },
    get now() {
      return {}
    },
  })
  const snapshot = snapshotOf(value, asUsual)
  value.inner.a = 2
  snapshot.restore()
  assert.is(value.inner.a, 1)
})

test('another object with the same contents does not match', () => {
  assert.not(snapshotOf([1], asUsual).matches([1]))
  assert.ok(snapshotOf(Number.NaN, asUsual).matches(Number.NaN))
  assert.not(snapshotOf(new Date(1), asUsual).matches(new Date(1)))
})

test.run()
