/** Once anything of a unit of work is committed, there is no other attempt at it. */
import * as assert from 'uvu/assert'
import { EngineRegistry, isRetryable, TransientError } from '../../source/index.ts'
import { Author, Book } from '../support/entities.ts'
import { DIALECTS, openDatabase } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { suite } from '../support/suite.ts'
import { warnings } from '../support/warnings.ts'

interface World {
  a: Awaited<ReturnType<typeof openDatabase>>
  b: Awaited<ReturnType<typeof openDatabase>>
}
type Work = (context: any, attempt: number) => unknown

const again = () => Object.assign(new Error('could not serialize access'), { code: '40001' })
const nothing = (): void => undefined

for (const dialect of DIALECTS) {
  const test = suite<World>(`attempts after a commit on ${dialect}`)
  let flushFails = false
  test.before(async (world) => {
    world.a = await openDatabase(dialect)
    const subscribers = [
      {
        async beforeFlush() {
          if (flushFails) throw again()
        },
      },
    ]
    world.b = await openDatabase(dialect, { config: { subscribers } })
  })
  test.before.each(async ({ a, b }) => {
    for (const { look } of [a, b]) for (const table of ['book', 'author']) await look.rows(`delete from ${table}`)
  })
  test.after(async ({ a, b }) => {
    await a.close()
    await b.close()
  })

  const count = async ({ a, b }: World): Promise<unknown[]> => [
    await a.look.value('select count(*) from author'),
    await b.look.value('select count(*) from author'),
  ]

  /** Runs it with three attempts; how often it ran, and what came out. */
  async function attempted(registry: EngineRegistry<any>, work: Work): Promise<{ attempts: number; error: any }> {
    let attempts = 0
    const error = await rejection(registry.run((context: any) => work(context, ++attempts), { attempts: 3 }))
    return { attempts, error }
  }

  const CASES: readonly [string, object, object, Work, RegExp][] = [
    [
      'the handler committed and began again',
      {},
      {},
      async ({ dbSession, txn, tm }) => {
        await dbSession.writer.insert(Author, { name: 'rent' })
        await txn.commit()
        await tm.begin()
        throw again()
      },
      /role "writer"/,
    ],
    [
      'em.commit() of an autonomous role',
      { commit: 'autonomous' },
      {},
      async ({ dbSession }) => {
        await dbSession.writer.insert(Author, { name: 'rent' })
        await dbSession.writer.commit()
        throw new TransientError('the mail server is away')
      },
      /role "writer"/,
    ],
    [
      'em.commit() where transactions are disabled',
      {},
      { disableTransaction: true },
      async ({ dbSession }) => {
        await dbSession.writer.insert(Author, { name: 'rent' })
        await dbSession.writer.commit()
        throw again()
      },
      /role "writer"/,
    ],
    [
      'a flush of a role that commits every flush',
      { commit: 'autocommit' },
      {},
      async ({ dbSession }) => {
        dbSession.writer.create(Author, { name: 'rent' })
        await dbSession.writer.flush()
        throw again()
      },
      /role "writer"/,
    ],
    [
      'a data manager behind the sessions that objects in its vote',
      {},
      {},
      ({ dbSession, txn }) => {
        dbSession.writer.create(Author, { name: 'rent' })
        txn.join({
          sortKey: () => '~~mail',
          tpcBegin: nothing,
          commit: nothing,
          tpcVote: () => {
            throw new TransientError('the mail server is away')
          },
          tpcFinish: nothing,
          tpcAbort: nothing,
          abort: nothing,
        })
      },
      /role "writer"/,
    ],
    [
      'a data manager that fails to finish behind one that has',
      {},
      {},
      ({ dbSession, txn }) => {
        dbSession.writer.create(Author, { name: 'rent' })
        const rest = { tpcBegin: nothing, commit: nothing, tpcVote: nothing, tpcAbort: nothing, abort: nothing }
        txn.join({ ...rest, sortKey: () => 'mail', tpcFinish: nothing })
        txn.join({
          ...rest,
          sortKey: () => 'queue',
          tpcFinish: () => {
            throw new TransientError('the queue is away')
          },
        })
      },
      /role "writer", another data manager/,
    ],
  ]
  for (const [what, engine, options, work, stored] of CASES) {
    test(`${what}: it is not done again, and the error says what is stored`, async (world) => {
      const registry = new EngineRegistry<any>({ writer: { orm: world.a.orm, ...engine } }, options)
      let outcome: { attempts: number; error: any } | undefined
      await warnings('SQLASSIST_SUPPRESSED_ERROR', async () => void (outcome = await attempted(registry, work)))
      const { attempts, error } = outcome!
      assert.equal([attempts, (await count(world))[0], error.code], [1, 1, 'SQLASSIST_NOT_RETRIED'])
      assert.match(error.message, stored)
      assert.ok(isRetryable(error.cause))
      assert.not.ok(isRetryable(error))
    })
  }

  test('sessions that commit one after the other, the second of which fails: it is not done again', async (world) => {
    const registry = new EngineRegistry<any>(
      { writer: { orm: world.a.orm, default: true }, other: world.b.orm },
      { disableTransaction: true },
    )
    const { attempts, error } = await attempted(registry, async ({ dbSession }) => {
      await dbSession.writer.insert(Author, { name: 'rent' })
      dbSession.other.create(Author, { name: 'rent' })
      flushFails = true
    })
    flushFails = false
    assert.equal([attempts, await count(world)], [1, [1, 0]])
    assert.match(String(error), /writer/)
    assert.not.ok(isRetryable(error))
  })

  test('what fails after the commit, in a synchronizer, does not lead to another attempt', async (world) => {
    const registry = new EngineRegistry<any>({ writer: world.a.orm })
    const { attempts, error } = await attempted(registry, async ({ dbSession, tm }) => {
      await tm.registerSynch(synchronizer)
      dbSession.writer.create(Author, { name: 'rent' })
    })
    assert.equal([attempts, (await count(world))[0], error.code], [1, 1, 'SQLASSIST_NOT_RETRIED'])
  })
  const synchronizer = {
    beforeCompletion: nothing,
    newTransaction: nothing,
    afterCompletion() {
      throw new TransientError('the cache is away')
    },
  }

  test('what was not committed is done again, also what an autonomous role had not committed yet', async (world) => {
    const registry = new EngineRegistry<any>({
      writer: { orm: world.a.orm, default: true },
      log: { orm: world.b.orm, commit: 'autonomous' },
    })
    let attempts = 0
    await registry.run(
      async ({ dbSession, txn, tm }: any) => {
        await dbSession.writer.count(Book)
        await txn.commit()
        await tm.begin()
        await dbSession.log.insert(Author, { name: 'line' })
        dbSession.writer.create(Author, { name: 'rent' })
        if (++attempts === 1) throw again()
      },
      { attempts: 2 },
    )
    assert.equal([attempts, await count(world)], [2, [1, 1]])
  })

  test.run()
}
