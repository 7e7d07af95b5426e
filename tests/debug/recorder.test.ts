import * as assert from 'uvu/assert'
import { setImmediate as turn } from 'node:timers/promises'
import type { RecordedAttempt, RequestSnapshot } from '../../source/debug/index.ts'
import { EngineRegistry, markChanged } from '../../source/index.ts'
import { Author, Book } from '../support/entities.ts'
import { DIALECTS, newDatabase, openOrm } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'
import { warnings } from '../support/warnings.ts'
import { Recorder } from '../transaction/recorder.ts'
import { openPanelWorld, type PanelWorld } from './panel-world.ts'

function last({ attempts }: RequestSnapshot): RecordedAttempt {
  return attempts.at(-1)!
}

/** What a tool sees of how it ended. */
function ending(request: RequestSnapshot): unknown[] {
  const { outcome, reason, error } = last(request)
  return [outcome, reason, error?.message]
}

function stepsOf(request: RequestSnapshot): string[] {
  return last(request).steps.map(({ step, subject, detail }) => [step, detail, subject].filter(Boolean).join(' '))
}

for (const dialect of DIALECTS) {
  const test = suite<{ world: PanelWorld }>(`what the debug panel records on ${dialect}`)

  test.before(async (context) => {
    context.world = await openPanelWorld(dialect)
  })
  test.after(({ world }) => world.close())

  test('a request that committed: where the sessions are, what each role did, and every step', async ({ world }) => {
    const request = await world.record(
      async (ctx) => {
        await ctx.dbSession.reader.count(Author)
        ctx.dbSession.writer.create(Author, { name: 'committed' })
        ctx.txn.setUser('ann')
        ctx.txn.addAfterCommitHook(function tellThem() {})
        ctx.body = 'done'
      },
      'POST',
      '/authors?page=2',
    )
    assert.equal(
      [request.kind, request.method, request.url, request.property, request.status],
      ['request', 'POST', '/authors?page=2', 'dbSession', 200],
    )
    assert.equal(ending(request), ['committed', undefined, undefined])
    const attempt = last(request)
    assert.equal(
      attempt.roles.map(({ role, status, state, statements }) => [role, status, state, statements]),
      [
        ['reader', 'END', 'readonly', 1],
        ['writer', 'END', 'changed', 1],
        ['logger', 'INIT', undefined, 0],
      ],
    )
    assert.equal(attempt.transactions, [{ description: 'POST /authors', user: '/ ann', status: 'Committed' }])
    assert.equal(
      attempt.statements.map(({ role, inTransaction, begins, rows }) => [role, inTransaction, begins, rows]),
      [
        ['reader', false, false, 1],
        ['writer', true, true, 1],
      ],
    )
    assert.match(attempt.statements[1]!.sql, /^insert into .author/)
    assert.equal(
      attempt.ends.map(({ role, how, decides }) => [role, how, decides]),
      [['writer', 'commit', false]],
    )
    assert.equal(stepsOf(request), [
      'open reader',
      'begin',
      'open writer',
      'join session writer',
      'commit',
      'call tpcBegin session writer',
      'call commit session writer',
      'call tpcVote session writer',
      'close its transaction was committed writer',
      'call tpcFinish session writer',
      'call afterCommitHook tellThem',
      'call abort session writer',
      'close its request or run ended reader',
    ])
    for (const span of [attempt, ...attempt.statements, ...attempt.ends, ...attempt.steps]) {
      assert.type(span.tookMs, 'number')
      assert.ok(span.atMs >= 0 && span.atMs + span.tookMs! <= request.tookMs!)
    }
  })

  test('a data manager is named by its label, or else by its class', async ({ world }) => {
    class Mailer extends Recorder {
      readonly label = 'mail to ann'
    }
    const request = await world.record(async (ctx) => {
      ctx.txn.join(new Mailer('mail', []))
      ctx.txn.join(new Recorder('plain', []))
    })
    assert.equal(
      stepsOf(request).filter((step) => step.startsWith('join')),
      ['join mail to ann', 'join Recorder'],
    )
  })

  test('the backends are PostgreSQL’s, and none on SQLite', async ({ world }) => {
    let pid: number | undefined
    const request = await world.record(async (ctx) => {
      if (dialect === 'postgresql') {
        const [row] = await ctx.dbSession.writer.execute('select pg_backend_pid() as pid')
        pid = row.pid
      } else await ctx.dbSession.writer.execute('select 1 as one')
    })
    const { backends } = last(request).roles.find(({ role }) => role === 'writer')!
    assert.equal(backends, pid === undefined ? [] : [pid])
    assert.is(last(request).statements[0]!.backend, pid)
  })

  test('doom, veto, an error and a commit that fails are told apart', async ({ world }) => {
    const doomed = await world.record(async (ctx) => {
      await ctx.dbSession.writer.insert(Author, { name: 'doomed' })
      ctx.txn.doom()
    })
    assert.equal(ending(doomed), ['aborted', 'doomed', undefined])
    assert.equal(
      last(doomed).ends.map(({ how }) => how),
      ['rollback'],
    )
    assert.equal(
      last(doomed).transactions.map(({ status }) => status),
      ['Doomed'],
    )

    const vetoed = await world.record((ctx) => (ctx.status = 503))
    assert.equal([...ending(vetoed), vetoed.status], ['aborted', 'vetoed', undefined, 503])

    const failed = await world.record(() => {
      throw Object.assign(new RangeError('out of paper', { cause: new Error('no tree') }), { code: 'E_PAPER' })
    })
    const { error } = last(failed)
    assert.equal([...ending(failed), failed.status], ['aborted', 'failed', 'out of paper', 500])
    assert.equal([error!.name, error!.code, error!.cause!.message], ['RangeError', 'E_PAPER', 'no tree'])
    assert.match(error!.frames[0]!, /^at .*recorder\.test\.ts/)

    const commit = await world.record((ctx) => {
      ctx.txn.addBeforeCommitHook(() => Promise.reject(new Error('not like this')))
    })
    assert.equal(ending(commit), ['aborted', 'failed', 'not like this'])
    const failing = last(commit).steps.find(({ step }) => step === 'commit')
    assert.is(failing?.error?.message, 'not like this')
  })

  test('a statement that fails has its error, and so does the request', async ({ world }) => {
    const request = await world.record((ctx) => ctx.dbSession.writer.execute('select nothing_of_the_kind'))
    assert.match(last(request).statements[0]!.error!.message, /nothing_of_the_kind/)
    assert.is(request.totals.failed, 1)
    assert.is(request.status, 500)
  })

  test('a client that goes away is recorded', async ({ world }) => {
    const { promise: reached, resolve } = Promise.withResolvers<void>()
    world.answer(async (ctx) => {
      await ctx.dbSession.writer.count(Author)
      resolve()
      await new Promise((gone) => ctx.res.once('close', gone))
      await turn()
    })
    const exchange = world.server.open('GET', '/slow')
    await reached
    exchange.destroy()
    await until(async () => last((await world.recorded())[0]!).outcome !== undefined, 'the end')
    const [request] = await world.recorded()
    assert.equal(ending(request!).slice(0, 2), ['aborted', 'cancelled'])
    assert.equal([request!.clientLeft, request!.status], [true, undefined])
  })

  test('savepoints are numbered, and their rollbacks name them', async ({ world }) => {
    const request = await world.record(async (ctx) => {
      await ctx.dbSession.writer.count(Author)
      const first = await ctx.txn.savepoint()
      await ctx.txn.savepoint()
      await first.rollback()
    })
    assert.equal(
      last(request)
        .steps.filter(({ step }) => step === 'savepoint' || step === 'rollback')
        .map(({ step, subject }) => `${step} ${subject}`),
      ['savepoint 1', 'savepoint 2', 'rollback 1'],
    )
  })

  test('a handler that ends its transaction and begins another has two', async ({ world }) => {
    const request = await world.record(async (ctx) => {
      ctx.txn.note('first')
      await ctx.txn.commit()
      await ctx.tm.begin()
      ctx.txn.note('second')
      await ctx.dbSession.writer.insert(Author, { name: 'second' })
    })
    assert.equal(
      last(request).transactions.map(({ description, status }) => [description, status]),
      [
        ['GET /\nfirst', 'Committed'],
        ['second', 'Committed'],
      ],
    )
    assert.equal(
      last(request)
        .steps.filter(({ step }) => step === 'commit')
        .map(({ transaction }) => transaction),
      [1, 2],
    )
  })

  test('a role that commits by itself is committed after the transaction, and counts as commit time', async ({
    world,
  }) => {
    const request = await world.record(async (ctx) => {
      await ctx.dbSession.logger.insert(Author, { name: 'logged' })
      throw new Error('too bad')
    })
    assert.equal(
      last(request).ends.map(({ role, how }) => [role, how]),
      [['logger', 'commit']],
    )
    assert.ok(request.totals.commitMs! > 0)
  })

  test('a statement sent three times by one role, with other values, is pointed out', async ({ world }) => {
    const request = await world.record(async (ctx) => {
      for (let id = 1; id <= 4; id++) await ctx.dbSession.reader.execute(`select name from author where id = ${id}`)
      for (let id = 1; id <= 2; id++) await ctx.dbSession.writer.execute(`select name from author where id = ${id}`)
      for (const list of ['1', '1, 2', '1, 2, 3']) {
        await ctx.dbSession.reader.execute(`select id from author where id in (${list}) or name = 'it''s "me"'`)
      }
    })
    assert.equal(
      request.repeated[0]!.map(({ role, shape, times }) => [role, shape, times]),
      [
        ['reader', 'select name from author where id = ?', 4],
        ['reader', 'select id from author where id in (?) or name = ?', 3],
      ],
    )
  })

  test('a run is recorded by its note, with its attempts as one', async ({ world }) => {
    await world.registry.run(
      async function nightlyReport({ dbSession, tm }) {
        await dbSession.writer!.count(Author)
        if (tm.attempt < 3) throw Object.assign(new Error('deadlock'), { code: '40P01' })
      },
      { attempts: 3 },
    )
    const [run] = await world.recorded()
    assert.equal([run!.kind, run!.method, run!.status, run!.property], ['run', undefined, undefined, undefined])
    assert.type(run!.tookMs, 'number')
    assert.equal(
      run!.attempts.map(({ attempt, outcome, retries, transactions }) => [
        attempt,
        outcome,
        retries,
        transactions[0]?.description,
      ]),
      [
        [1, 'aborted', true, 'nightlyReport'],
        [2, 'aborted', true, 'nightlyReport'],
        [3, 'committed', false, 'nightlyReport'],
      ],
    )
  })

  test('what a handler changed is recorded by entity and property, with what it emptied, also for its answer alone', async ({
    world,
  }) => {
    const request = await world.record(async (ctx) => {
      const { writer } = ctx.dbSession
      const author = (await writer.find(Author, {}, { limit: 1, orderBy: { id: 'desc' } }))[0]
      const book = writer.create(Book, { title: 'hidden', author, tags: [{ label: 'new' }] })
      await writer.flush()
      book.author = null
      author.name = 'renamed'
      await writer.flush()
      writer.remove(book)
      ctx.status = 500
    })
    const { entries, dropped } = last(request).changes!
    const shown = entries.map(({ role, kind, entity, properties, emptied }) => [
      role,
      kind,
      entity,
      properties,
      emptied,
    ])
    assert.equal(
      shown.map(String).toSorted(),
      [
        ['writer', 'create', 'Book', ['title', 'author'], []],
        ['writer', 'create', 'Tag', ['label'], []],
        ['writer', 'update', 'Book', ['tags'], []],
        ['writer', 'update', 'Book', ['author'], ['author']],
        ['writer', 'update', 'Author', ['name'], []],
      ]
        .map(String)
        .toSorted(),
    )
    assert.is(dropped, 0)
    assert.match(entries.find(({ emptied }) => emptied.length > 0)?.id ?? '', /^\d+$/)
    const page = (await world.server.request('GET', `/_sqlassist/requests/${request.id}`)).text
    assert.match(page, /Changed entities/)
    assert.match(page, /author = NULL/)
  })

  test('a request without a flush has no changes, and neither has its page', async ({ world }) => {
    const request = await world.record((ctx) => ctx.dbSession.writer.count(Author))
    assert.is(last(request).changes, undefined)
    const page = (await world.server.request('GET', `/_sqlassist/requests/${request.id}`)).text
    assert.not.match(page, /Changed entities/)
  })

  test('a run whose owner is the ctx of a request is a run of its own', async ({ world }) => {
    const request = await world.record(
      (ctx) =>
        world.registry.run(({ dbSession }) => dbSession['writer']!.count(Author), { owner: ctx, name: 'inside' }),
      'POST',
    )
    const recorded = await world.recorded()
    assert.equal(
      recorded
        .slice(0, 2)
        .map(({ kind, method }) => [kind, method])
        .toSorted(),
      [
        ['request', 'POST'],
        ['run', undefined],
      ],
    )
    assert.is(request.attempts.length, 1)
  })

  test('two runs at once do not get into each other’s way', async ({ world }) => {
    const run = (name: string): Promise<void> =>
      world.registry.run(
        async ({ dbSession, tm }) => {
          await dbSession.reader!.execute(`select '${name}' as name`)
          await turn()
          if (tm.attempt === 1) throw Object.assign(new Error('again'), { code: '40001' })
        },
        { attempts: 2, name },
      )
    await Promise.all([run('left'), run('right')])
    const recorded = (await world.recorded()).slice(0, 2)
    for (const { attempts } of recorded) {
      const name = attempts[0]!.transactions[0]!.description
      assert.is(attempts.length, 2)
      for (const { statements } of attempts) assert.is(statements[0]!.sql, `select '${name}' as name`)
    }
  })

  test('nothing of another registry is recorded, nor of a session outside of any request or run', async ({ world }) => {
    const seen = async (): Promise<unknown[]> =>
      (await world.recorded()).map(({ id, totals }) => [id, totals.statements])
    const before = await seen()
    const other = new EngineRegistry({ writer: await openOrm(await newDatabase(dialect)) })
    await other.run(({ dbSession }) => dbSession.writer.count(Author))
    await other.close()
    await using em = world.registry.session('writer')
    await em.count(Author)
    assert.equal(await seen(), before)
  })

  test('raw SQL that was never marked leaves the session active, and what is marked is changed', async ({ world }) => {
    const request = await world.record(async (ctx) => {
      await ctx.dbSession.writer.execute(`insert into author (name) values ('marked')`)
      markChanged(ctx.dbSession.writer)
    })
    assert.is(last(request).roles[1]!.state, 'changed')
    assert.is(last(request).ends[0]!.how, 'commit')
  })

  test('what a program throws that is no error is recorded as it is', async ({ world }) => {
    await rejection(
      world.registry.run(() => {
        // eslint-disable-next-line typescript/only-throw-error
        throw { status: 'odd' }
      }),
    )
    const [run] = await world.recorded()
    assert.equal([last(run!).error!.name, last(run!).error!.message], ['object', "{ status: 'odd' }"])
  })

  test('what cannot be recorded is warned of once, and the request goes on as ever', async ({ world }) => {
    const told = await warnings('SQLASSIST_DEBUG_PANEL', async () => {
      for (let index = 0; index < 2; index++) {
        const odd = Object.defineProperty(new Error('odd'), 'stack', {
          get() {
            throw new Error('no stack for you')
          },
        })
        const error = await rejection(
          world.registry.run(() => {
            throw odd
          }),
        )
        assert.is(error, odd)
      }
    })
    assert.is(told.length, 1)
    const [run] = await world.recorded()
    assert.equal([last(run!).outcome, typeof run!.tookMs], ['aborted', 'number'])
    assert.match(told[0]!.message, /could not record a message: Error: no stack for you/)
  })

  test.run()

  const retried = suite(`what the debug panel records of attempts on ${dialect}`)

  retried('a request that is tried again is one, with an attempt for each try', async () => {
    const world = await openPanelWorld(dialect, { attempts: 3, sessions: { property: 'databases' } })
    const request = await world.record(async (ctx) => {
      await ctx.databases.writer.insert(Author, { name: `attempt ${ctx.tm.attempt}` })
      if (ctx.tm.attempt < 3) throw Object.assign(new Error('conflict'), { code: '40001' })
      ctx.body = 'at last'
    })
    assert.equal([request.property, request.status, request.totals.statements], ['databases', 200, 3])
    assert.equal(
      request.attempts.map(({ attempt, outcome, reason, retries, error }) => [
        attempt,
        outcome,
        reason,
        retries,
        error?.message,
      ]),
      [
        [1, 'aborted', 'failed', true, 'conflict'],
        [2, 'aborted', 'failed', true, 'conflict'],
        [3, 'committed', undefined, false, undefined],
      ],
    )
    assert.ok(request.attempts.every(({ statements }) => statements.length === 1))
    await world.close()
  })

  retried.run()
}

const several = suite('what the debug panel records of several databases')

several('a commit over two databases: prepared, decided, committed', async () => {
  const world = await openPanelWorld('postgresql', { roles: { audit: {} } })
  const request = await world.record(async (ctx) => {
    await ctx.dbSession.writer.insert(Author, { name: 'both' })
    await ctx.dbSession.audit.insert(Author, { name: 'both' })
  })
  const { ends } = last(request)
  assert.equal(
    ends.map(({ role, how, decides }) => [role, how, decides]),
    [
      ['audit', 'prepare', false],
      ['writer', 'commit', true],
      ['audit', 'commit prepared', false],
    ],
  )
  assert.match(ends[0]!.gid!, /^sqlassist:app:writer:.*:audit$/)
  assert.is(ends[2]!.gid, ends[0]!.gid)
  await world.close()
})

several.run()
