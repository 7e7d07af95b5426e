/** A streamed body may open a read-only role while it is read; its request is over for everything else. */
import * as assert from 'uvu/assert'
import { once } from 'node:events'
import { PassThrough, Readable } from 'node:stream'
import Koa, { type Context } from 'koa'
import { dbSessions, EngineRegistry, UnitOfWorkEndedError, type DbSessionsOptions } from '../../source/index.ts'
import { Author } from '../support/entities.ts'
import { serve } from '../support/http.ts'
import { ormsIdle } from '../support/leaks.ts'
import { DIALECTS } from '../support/orms.ts'
import { openReaderAndWriter, type ReaderAndWriter } from '../support/reader-and-writer.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'

for (const dialect of DIALECTS) {
  const test = suite<ReaderAndWriter>(`a body that opens its read-only role on ${dialect}`)

  test.before(async (world) => {
    Object.assign(world, await openReaderAndWriter(dialect, { reader: 1 }))
    await world.look.rows(`insert into author (name) values ('one'), ('two')`)
  })
  test.before.each(async ({ reader, writer }) => {
    await reader.connect()
    await writer.connect()
  })
  test.after(({ close }) => close())

  interface Setting {
    readonly readOnly?: boolean | 'snapshot'
    readonly options?: DbSessionsOptions
  }

  async function serving(
    { reader, writer }: ReaderAndWriter,
    handler: (ctx: any) => unknown,
    { readOnly = true, options }: Setting = {},
  ) {
    const registry = new EngineRegistry<any>({ writer, reader: { orm: reader, readOnly } }, { recover: false })
    const app = new Koa()
    app.use(dbSessions(registry, options))
    app.use(async (ctx: Context) => void (await handler(ctx)))
    return { served: await serve(app), registry }
  }

  async function idle({ reader }: ReaderAndWriter): Promise<void> {
    await ormsIdle(reader)
  }

  const WAYS: Record<string, (ctx: any, world: ReaderAndWriter) => any> = {
    'ctx.dbSession.reader': (ctx) => ctx.dbSession.reader,
    'ctx.dbSession.any': (ctx) => ctx.dbSession.any,
    'the global orm.em': (_, { reader }) => reader.em,
  }
  const SETTINGS: Record<string, Setting> = {
    'readOnly: true': { readOnly: true },
    "readOnly: 'snapshot'": { readOnly: 'snapshot' },
    'transactions disabled': { readOnly: 'snapshot', options: { disableTransaction: true } },
    'a preference for the writer': { options: { anyPreference: ['writer', 'reader'] } },
    'a response that is vetoed': { options: { commitVeto: () => true } },
  }
  for (const [setting, given] of Object.entries(SETTINGS)) {
    for (const [way, em] of Object.entries(WAYS)) {
      test(`${way} works for the first time while the body is read (${setting}), and is over with it`, async (world) => {
        let late: unknown
        let ended: any
        const handler = (ctx: any): void => {
          // Opened, so that `any` has something else to prefer.
          void ctx.dbSession.writer
          async function* rows() {
            yield String(await em(ctx, world).count(Author))
            for await (const { name } of em(ctx, world).stream(Author, { orderBy: { id: 'asc' } })) yield ` ${name}`
          }
          const source = Readable.from(rows())
          // Koa reads a body outside of the unit's context; a pipe is read where it was laid.
          ctx.body = way === 'the global orm.em' ? source.pipe(new PassThrough()) : source
          ended = ctx.dbSession
        }
        const { served, registry } = await serving(world, handler, given)
        const reply = await served.request('GET', '/').catch(() => undefined)
        assert.is(reply?.text, '2 one two', served.errors.map(({ stack }) => stack).join())
        await served.idle()
        await idle(world)
        await until(() => ended.status.reader === 'END', 'the end of the reader')
        try {
          void ended.reader
        } catch (error) {
          late = error
        }
        assert.instance(late, UnitOfWorkEndedError)
        await registry.close()
        await served.close()
        assert.equal(served.errors, [])
      })
    }
  }

  test('a role that writes is over there, and the answer breaks off', async (world) => {
    const { served, registry } = await serving(world, (ctx) => {
      ctx.body = Readable.from(
        (async function* () {
          yield String(await ctx.dbSession.writer.count(Author))
        })(),
      )
    })
    assert.instance(await served.request('GET', '/').catch((error: unknown) => error), Error)
    await until(() => served.errors.length > 0, 'the error')
    assert.instance(served.errors[0], UnitOfWorkEndedError)
    await registry.close()
    await served.close()
  })

  test('an entity manager forked by hand stays what it is outside of any request', async (world) => {
    const { served, registry } = await serving(world, (ctx) => {
      ctx.body = Readable.from(
        (async function* () {
          yield String(await world.reader.em.fork().count(Author))
        })(),
      )
    })
    assert.is((await served.request('GET', '/')).text, '2')
    await registry.close()
    await served.close()
  })

  test('the registry waits for a body that has opened one, and not for one that reads nothing', async (world) => {
    const goOn = Promise.withResolvers<void>()
    const { served, registry } = await serving(
      world,
      (ctx) => {
        ctx.body = Readable.from(
          (async function* () {
            yield ctx.path === '/reads' ? String(await ctx.dbSession.reader.count(Author)) : 'nothing'
            await goOn.promise
            yield ctx.path === '/reads' ? String(await ctx.dbSession.reader.count(Author)) : ''
          })(),
        )
      },
      { readOnly: 'snapshot' },
    )
    const [reads, idles] = [served.open('GET', '/reads'), served.open('GET', '/idles')]
    for (const exchange of [reads, idles]) await once(await exchange.head, 'readable')
    assert.is((await registry.inspect()).unitsUnderWay, 1)
    let closed = false
    const closing = registry.close().then(() => (closed = true))
    await new Promise(setImmediate)
    assert.is(closed, false)
    goOn.resolve()
    assert.is((await reads.reply()).text, '22')
    await closing
    await served.close()
    await world.reader.connect()
  })

  test('a client that leaves gives its connection back, whatever the body waits for', async (world) => {
    const [waits, never] = [Promise.withResolvers<void>(), new Promise<void>(() => undefined)]
    const { served, registry } = await serving(
      world,
      (ctx) => {
        ctx.body = Readable.from(
          (async function* () {
            yield String(await ctx.dbSession.reader.count(Author))
            waits.resolve()
            await never
          })(),
        )
      },
      { readOnly: 'snapshot' },
    )
    const exchange = served.open('GET', '/')
    await exchange.head
    await waits.promise
    exchange.destroy()
    await idle(world)
    await registry.close()
    await served.close()
  })

  test.run()
}
