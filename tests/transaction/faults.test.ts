/** An error in every method of every data manager of three, in every phase: who is called, and what comes out. */
import { inspect } from 'node:util'
import * as assert from 'uvu/assert'
import { TransactionFailedError, TransactionManager } from '../../source/transaction/index.ts'
import { suite } from '../support/suite.ts'
import { type Method, Recorder, thrownBy } from './recorder.ts'

const test = suite('an error at each place')

const names = ['a', 'b', 'c']
const passes: readonly Method[] = ['tpcBegin', 'commit', 'tpcVote', 'tpcFinish']
const kinds = {
  'throws at once': (value: unknown) => {
    throw value
  },
  'rejects at once': async (value: unknown) => {
    throw value
  },
  'rejects later': async (value: unknown) => {
    await Promise.resolve()
    throw value
  },
}

/** The expected calls, computed by position, which the code does not do. */
function expectedCalls(pass: Method, position: number): string[] {
  const reached = passes.slice(0, passes.indexOf(pass)).flatMap((before) => names.map((name) => `${name}.${before}`))
  const last = names.slice(0, position + 1).map((name) => `${name}.${pass}`)
  const unvoted = pass === 'tpcFinish' ? [] : pass === 'tpcVote' ? names.slice(position) : names
  return [...reached, ...last, ...unvoted.map((name) => `${name}.abort`), ...names.map((name) => `${name}.tpcAbort`)]
}

for (const pass of passes) {
  for (const [position, failing] of names.entries()) {
    for (const [how, fail] of Object.entries(kinds)) {
      test(`${pass} of ${failing} ${how}: the rest is cleaned up and the same error comes out`, async () => {
        const log: string[] = []
        const error = new Error('first')
        const suppressed: unknown[] = []
        const manager = new TransactionManager({ explicit: true, onSuppressedError: (each) => suppressed.push(each) })
        const transaction = await manager.begin()
        for (const name of names.toReversed()) {
          const play = {
            [pass]: () => (name === failing ? fail(error) : undefined),
            tpcAbort: () => fail(`tpcAbort of ${name}`),
          }
          transaction.join(new Recorder(name, log, play))
        }
        assert.is(await thrownBy(() => transaction.commit()), error)
        assert.equal(log, expectedCalls(pass, position))
        assert.is(transaction.status, 'Commit failed')
        assert.is(manager.get(), transaction)
        assert.equal(suppressed, ['tpcAbort of a', 'tpcAbort of b', 'tpcAbort of c'])

        const again = (await thrownBy(() => manager.commit())) as TransactionFailedError
        assert.instance(again, TransactionFailedError)
        assert.is(again.cause, error)
        log.length = 0
        await manager.abort()
        assert.equal(log, ['c.abort', 'b.abort', 'a.abort'])
      })
    }
  }
}

for (const [position, failing] of names.entries()) {
  test(`abort of ${failing} fails: the others are aborted, the first error comes out, the next is reported`, async () => {
    const log: string[] = []
    const suppressed: unknown[] = []
    const manager = new TransactionManager({ explicit: true, onSuppressedError: (each) => suppressed.push(each) })
    const transaction = await manager.begin()
    for (const [index, name] of names.entries()) {
      const abort = () => (index >= position ? kinds['throws at once'](name) : undefined)
      transaction.join(new Recorder(name, log, { abort }))
    }
    assert.is(await thrownBy(() => transaction.abort()), failing)
    assert.equal(log, ['a.abort', 'b.abort', 'c.abort'])
    assert.equal(suppressed, names.slice(position + 1))
    assert.equal(
      transaction.suppressedErrors.map(({ error, where }) => [
        error,
        where.method,
        (where.participant as Recorder).name,
      ]),
      names.slice(position + 1).map((name) => [name, 'abort', name]),
    )
    assert.throws(() => manager.get(), /explicit/)
  })
}

for (const value of [undefined, null, 0, '', 'text', { an: 'object' }, Symbol('a symbol')]) {
  const text = inspect(value)
  test(`a data manager may throw ${text}, and that very value comes out`, async () => {
    const manager = new TransactionManager({ explicit: true })
    const transaction = await manager.begin()
    const log: string[] = []
    transaction.join(new Recorder('a', log, { tpcVote: () => kinds['throws at once'](value) }))
    const outcome = await transaction.commit().then(
      () => 'committed',
      (error: unknown) => [error],
    )
    assert.equal(outcome, [value])
    assert.is(transaction.status, 'Commit failed')
    const later = (await thrownBy(() => transaction.commit())) as TransactionFailedError
    assert.is(later.cause, value)
    assert.ok('cause' in later)
    await transaction.abort()
  })

  test(`an abort that fails with ${text} fails with that very value`, async () => {
    const manager = new TransactionManager({ explicit: true, onSuppressedError: () => {} })
    const transaction = await manager.begin()
    transaction.join(new Recorder('a', [], { abort: () => kinds['rejects at once'](value) }))
    transaction.join(new Recorder('b', [], { abort: () => kinds['throws at once']('another') }))
    assert.equal(await transaction.abort().catch((error: unknown) => [error]), [value])
    assert.equal(
      transaction.suppressedErrors.map(({ error }) => error),
      ['another'],
    )
  })
}

test('data managers that answer at once and those that answer later are called one after another', async () => {
  const manager = new TransactionManager({ explicit: true })
  const transaction = await manager.begin()
  const log: string[] = []
  const slow = (name: string) => ({
    tpcBegin: async () => {
      await Promise.resolve()
      await Promise.resolve()
      log.push(`${name} is done`)
    },
  })
  transaction.join(new Recorder('a', log, slow('a')))
  transaction.join(new Recorder('b', log))
  transaction.join(new Recorder('c', log, slow('c')))
  await transaction.commit()
  assert.equal(log.slice(0, 6), ['a.tpcBegin', 'a is done', 'b.tpcBegin', 'c.tpcBegin', 'c is done', 'a.commit'])
})

test('a promise of any make is waited for, a function that has a then included', async () => {
  const manager = new TransactionManager({ explicit: true })
  const transaction = await manager.begin()
  const log: string[] = []
  const thenable = (tell: string, target: object) =>
    // oxlint-disable-next-line unicorn/no-thenable -- what is to be waited for
    Object.defineProperty(target, 'then', {
      value(onFulfilled: () => void) {
        log.push(tell)
        onFulfilled()
      },
    })
  transaction.join(
    new Recorder('a', log, {
      tpcBegin: () => thenable('an object answers', {}),
      commit: () => thenable('a function answers', () => {}),
      // oxlint-disable-next-line unicorn/no-thenable -- what is not to be waited for
      tpcVote: () => ({ then: 'no method' }),
      tpcFinish: () => null,
    }),
  )
  await transaction.commit()
  assert.equal(log, ['a.tpcBegin', 'an object answers', 'a.commit', 'a function answers', 'a.tpcVote', 'a.tpcFinish'])
})

test.run()
