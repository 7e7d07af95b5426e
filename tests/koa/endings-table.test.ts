import * as assert from 'uvu/assert'
import Koa, { type Context } from 'koa'
import { dbSessions, defaultCommitVeto, EngineRegistry, type DbSessionsOptions } from '../../source/index.ts'
import { Author } from '../support/entities.ts'
import { serve } from '../support/http.ts'
import { DIALECTS, openDatabase } from '../support/orms.ts'
import type { SecondLook } from '../support/second-look.ts'
import { suite } from '../support/suite.ts'

type Database = Awaited<ReturnType<typeof openDatabase>>

interface World {
  writer: Database
  audit: Database
  logger: Database
  registry: EngineRegistry<any>
}

/** What is committed: the writer and the audit role together, the autonomous logger by itself. */
type Rows = { writer: number; audit: number; logger: number }
const ALL: Rows = { writer: 1, audit: 1, logger: 1 }
const LOGGED: Rows = { writer: 0, audit: 0, logger: 1 }
const NONE: Rows = { writer: 0, audit: 0, logger: 0 }

interface Ending {
  readonly name: string
  readonly handler: (ctx: Context) => unknown
  readonly options?: DbSessionsOptions
  readonly status: number
  readonly rows: Rows
  /** The messages that `app.on('error')` got. */
  readonly errors?: readonly RegExp[]
  /** Where transactions are disabled, if it ends otherwise there. */
  readonly disabled?: Partial<Pick<Ending, 'status' | 'rows' | 'errors'>>
}

const throws = (error: unknown) => (): never => {
  throw error
}

function write(ctx: Context): void {
  for (const role of ['writer', 'audit', 'logger']) {
    ctx.dbSession[role].persist(ctx.dbSession[role].create(Author, { name: role }))
  }
}

const ENDINGS: readonly Ending[] = [
  { name: 'a plain return', handler: (ctx) => (ctx.status = 201), status: 201, rows: ALL },
  { name: 'no status set: 404', handler: () => undefined, status: 404, rows: ALL },
  { name: 'status 500', handler: (ctx) => (ctx.status = 500), status: 500, rows: LOGGED },
  {
    name: 'status 503 with a body',
    handler: (ctx) => ((ctx.status = 503), (ctx.body = 'later')),
    status: 503,
    rows: LOGGED,
  },
  { name: 'a redirect', handler: (ctx) => ctx.redirect('/there'), status: 302, rows: ALL },
  { name: 'an Error', handler: throws(new Error('broken')), status: 500, rows: LOGGED, errors: [/^broken$/] },
  { name: 'an http error', handler: (ctx) => ctx.throw(409, 'taken'), status: 409, rows: LOGGED, errors: [/^taken$/] },
  { name: 'a string thrown', handler: throws('words'), status: 500, rows: LOGGED, errors: [/words/] },
  {
    name: 'an object thrown',
    handler: throws({ status: 418, expose: true }),
    status: 500,
    rows: LOGGED,
    errors: [/418/],
  },
  { name: 'doom', handler: (ctx) => (ctx.txn.doom(), (ctx.body = 'as it is')), status: 200, rows: LOGGED },
  {
    name: 'doom, then an error',
    handler: (ctx) => (ctx.txn.doom(), ctx.throw(500, 'broken')),
    status: 500,
    rows: LOGGED,
    errors: [/^broken$/],
  },
  {
    name: 'no veto, status 500',
    handler: (ctx) => (ctx.status = 500),
    options: { commitVeto: null },
    status: 500,
    rows: ALL,
  },
  {
    name: 'no veto, an error',
    handler: throws(new Error('broken')),
    options: { commitVeto: null },
    status: 500,
    rows: LOGGED,
    errors: [/^broken$/],
  },
  {
    name: "pyramid_tm's veto, 200",
    handler: (ctx) => (ctx.body = 'ok'),
    options: { commitVeto: defaultCommitVeto },
    status: 200,
    rows: ALL,
  },
  {
    name: "pyramid_tm's veto, 422",
    handler: (ctx) => (ctx.status = 422),
    options: { commitVeto: defaultCommitVeto },
    status: 422,
    rows: LOGGED,
  },
  {
    name: "pyramid_tm's veto, 500",
    handler: (ctx) => (ctx.status = 500),
    options: { commitVeto: defaultCommitVeto },
    status: 500,
    rows: LOGGED,
  },
  {
    name: "pyramid_tm's veto, x-tm: commit",
    handler: (ctx) => ((ctx.status = 500), ctx.set('X-Tm', 'commit')),
    options: { commitVeto: defaultCommitVeto },
    status: 500,
    rows: ALL,
  },
  {
    name: "pyramid_tm's veto, x-tm: abort",
    handler: (ctx) => ((ctx.status = 200), ctx.set('X-Tm', 'abort')),
    options: { commitVeto: defaultCommitVeto },
    status: 200,
    rows: LOGGED,
  },
  {
    name: "pyramid_tm's veto, x-tm: Commit",
    handler: (ctx) => ((ctx.status = 200), ctx.set('X-Tm', 'Commit')),
    options: { commitVeto: defaultCommitVeto },
    status: 200,
    rows: LOGGED,
  },
  {
    name: 'an async veto',
    handler: (ctx) => (ctx.status = 200),
    options: { commitVeto: async (ctx) => ctx.status === 200 },
    status: 200,
    rows: LOGGED,
  },
  {
    name: 'a veto that throws',
    handler: (ctx) => (ctx.status = 200),
    options: { commitVeto: throws(new Error('no verdict')) },
    status: 500,
    rows: LOGGED,
    errors: [/^no verdict$/],
  },
  {
    name: 'an annotate that throws',
    handler: () => undefined,
    options: { annotate: throws(new Error('no note')) },
    status: 500,
    rows: NONE,
    errors: [/^no note$/],
  },
  {
    name: 'an early commit',
    handler: async (ctx) => (await ctx.txn.commit(), (ctx.status = 200)),
    status: 200,
    rows: ALL,
  },
  {
    name: 'an early commit, then an error',
    handler: async (ctx) => (await ctx.txn.commit(), ctx.throw(500, 'too late')),
    status: 500,
    rows: ALL,
    errors: [/^too late$/],
  },
  {
    name: 'an early commit, then status 500',
    handler: async (ctx) => (await ctx.txn.commit(), (ctx.status = 500)),
    status: 500,
    rows: ALL,
  },
  {
    name: 'an early abort',
    handler: async (ctx) => (await ctx.txn.abort(), (ctx.status = 200)),
    status: 200,
    rows: LOGGED,
  },
  {
    name: 'an early commit and a new begin, then an error',
    async handler(ctx) {
      await ctx.txn.commit()
      await ctx.tm.begin()
      ctx.dbSession.writer.persist(ctx.dbSession.writer.create(Author, { name: 'second' }))
      throw new Error('second fails')
    },
    status: 500,
    rows: ALL,
    errors: [/^second fails$/],
  },
  {
    name: 'an early abort and a new begin',
    async handler(ctx) {
      await ctx.txn.abort()
      await ctx.tm.begin()
      write(ctx)
      ctx.status = 200
    },
    status: 200,
    rows: { writer: 1, audit: 1, logger: 2 },
  },
  {
    name: 'a before-commit hook that throws',
    handler: (ctx) => ctx.txn.addBeforeCommitHook(throws(new Error('hook'))),
    status: 500,
    rows: LOGGED,
    errors: [/^hook$/],
  },
  {
    name: 'a commit that fails in the second role',
    async handler(ctx) {
      ctx.status = 201
      const { writer } = ctx.dbSession
      await writer
        .getKysely()
        .insertInto('author')
        .values({ id: null, name: null })
        .execute()
        .catch(() => undefined)
      writer.persist(writer.create(Author, { name: null as never }, { partial: true }))
    },
    status: 500,
    rows: LOGGED,
    errors: [/null|required|TransactionAborted|failed earlier/i],
    disabled: { rows: { writer: 0, audit: 0, logger: 1 } },
  },
]

for (const dialect of DIALECTS) {
  for (const disableTransaction of [false, true]) {
    const test = suite<World>(`${dialect}${disableTransaction ? ', transactions disabled' : ''}`)

    test.before(async (world) => {
      world.writer = await openDatabase(dialect)
      world.audit = await openDatabase(dialect)
      world.logger = await openDatabase(dialect)
      world.registry = new EngineRegistry({
        writer: world.writer.orm,
        audit: world.audit.orm,
        logger: { orm: world.logger.orm, commit: 'autonomous' },
      })
    })
    test.before.each(async ({ writer, audit, logger }) => {
      for (const { look } of [writer, audit, logger]) await look.rows('delete from author')
    })
    test.after(async ({ registry, writer, audit, logger }) => {
      await registry.close()
      for (const each of [writer, audit, logger]) await each.close()
    })

    const count = async (look: SecondLook) => await look.value('select count(*) from author')

    for (const ending of ENDINGS) {
      const { name, handler, options = {} } = ending
      const { status, rows, errors = [] } = { ...ending, ...(disableTransaction ? ending.disabled : {}) }
      test(`${name}: ${status}, rows ${JSON.stringify(rows)}`, async ({ registry, writer, audit, logger }) => {
        const app = new Koa()
        app.use(dbSessions(registry, { ...options, disableTransaction }))
        app.use(async (ctx) => {
          write(ctx)
          await handler(ctx)
        })
        const served = await serve(app)
        const reply = await served.request('POST', '/')
        await served.close()
        const stored = {
          writer: await count(writer.look),
          audit: await count(audit.look),
          logger: await count(logger.look),
        }
        assert.equal(stored, rows)
        assert.is(reply.status, status)
        assert.is(served.errors.length, errors.length, served.errors.join())
        for (const [index, pattern] of errors.entries()) assert.match(String(served.errors[index]?.message), pattern)
      })
    }

    // Koa itself answers nothing then, so the client goes away.
    test('null thrown: aborted all the same', async ({ registry, writer }) => {
      const app = new Koa()
      app.use(dbSessions(registry, { disableTransaction }))
      const aborted = Promise.withResolvers<void>()
      app.use(async (ctx) => {
        await ctx.dbSession.writer.insert(Author, { name: 'x' })
        ctx.txn.addAfterAbortHook(() => aborted.resolve())
        throws(null)()
      })
      const served = await serve(app)
      const exchange = served.open('POST', '/')
      await aborted.promise
      exchange.destroy()
      await served.close()
      assert.is(await count(writer.look), 0)
    })

    test.run()
  }
}
