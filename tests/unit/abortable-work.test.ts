/** A run whose signal is aborted throws the reason, and what the work threw is its cause. */
import * as assert from 'uvu/assert'
import { EngineRegistry, TransientError } from '../../source/index.ts'
import { databaseSuite } from '../support/database-suite.ts'
import { Author } from '../support/entities.ts'
import { DIALECTS } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { until } from '../support/until.ts'

type Em = any

for (const dialect of DIALECTS) {
  const test = databaseSuite(`a signal of a run on ${dialect}`, dialect)

  test('has its reason thrown, with the error of the work as the cause', async ({ orm, look }) => {
    const registry = new EngineRegistry({ writer: orm })
    const real = new TypeError('the real error')
    for (const attempts of [1, 2]) {
      for (const work of [() => Promise.reject(real), () => Promise.resolve().then(() => Promise.reject(real))]) {
        const stop = new AbortController()
        const reason = new Error('enough')
        const error = await rejection(
          registry.run(
            async ({ dbSession }: Em) => {
              await dbSession.writer.insert(Author, { name: 'x' })
              stop.abort(reason)
              await work()
            },
            { signal: stop.signal, attempts },
          ),
        )
        assert.is(error, reason)
        assert.is(error.cause, real)
      }
    }
    assert.is(await look.value('select count(*) from author'), 0)
  })

  test('is shared by runs of which each keeps its own error', async ({ orm }) => {
    const registry = new EngineRegistry({ writer: orm })
    const stop = new AbortController()
    const errors = [new Error('one'), new Error('two')]
    const runs = errors.map((error) =>
      rejection(
        registry.run(
          async () => {
            await new Promise((resolve) => stop.signal.addEventListener('abort', resolve))
            throw error
          },
          { signal: stop.signal },
        ),
      ),
    )
    stop.abort(new RangeError('enough'))
    const thrown = await Promise.all(runs)
    assert.equal(
      thrown.map(({ cause }) => cause),
      errors,
    )
    for (const error of thrown) {
      assert.instance(error, RangeError)
      assert.is(error.message, 'enough')
    }
  })

  test('is aborted between two attempts: the error of the first one is the cause', async ({ orm }) => {
    const registry = new EngineRegistry({ writer: orm })
    const stop = new AbortController()
    const real = new TransientError('once more')
    const run = registry.run(
      ({ txn }) => {
        txn.addAfterAbortHook(() => stop.abort(new Error('enough')))
        throw real
      },
      { signal: stop.signal, attempts: 2 },
    )
    const error = await rejection(run)
    assert.equal([error.message, error.cause], ['enough', real])
  })

  test('has a reason that is no error, has a cause, or is the cause of what the work threw', async ({ orm }) => {
    const registry = new EngineRegistry({ writer: orm })
    const real = new Error('the real error')
    const thrownFor = async (reason: unknown, error: Error): Promise<Error> => {
      const stop = new AbortController()
      const work = (): never => {
        stop.abort(reason)
        throw error
      }
      return await rejection(registry.run(work, { signal: stop.signal }))
    }
    const ofText = await thrownFor('enough', real)
    assert.equal([ofText.message, ofText.cause], ['enough', real])
    const first = new Error('first')
    const reason = new Error('enough', { cause: first })
    assert.is((await thrownFor(reason, real)).cause, real)
    assert.is(reason.cause, first, 'the reason of the caller stays')
    const other = new Error('enough')
    const wrapped = new Error('it was stopped', { cause: other })
    assert.is((await thrownFor(other, wrapped)).cause, wrapped)
    assert.is(other.cause, undefined)
    assert.is(await thrownFor(other, other), other)
  })

  if (dialect === 'postgresql') {
    test('has the statement that was cancelled as the cause', async ({ orm, look }) => {
      const stop = new AbortController()
      const run = rejection(
        new EngineRegistry({ writer: orm }).run(
          ({ dbSession }: Em) => dbSession.writer.execute('select pg_sleep(300)'),
          {
            signal: stop.signal,
          },
        ),
      )
      const asleep = `select 1 from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`
      await until(async () => (await look.rows(asleep)).length === 1, 'the statement to run')
      stop.abort(new Error('enough'))
      const error: Em = await run
      assert.equal([error.message, error.cause.code], ['enough', '57014'])
    })
  }

  test.run()
}
