/** Which session and which request an entity belongs to, and for how long. */
import { defineEntity, p } from '@mikro-orm/core'
import Koa from 'koa'
import { Readable } from 'node:stream'
import { setTimeout as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import * as assert from 'uvu/assert'
import { dbSessions, DeclaredTable, EngineRegistry, requestOf, sessionOf } from '../../source/index.ts'
import { databaseSuite, type DatabaseWorld } from '../support/database-suite.ts'
import { ENTITIES } from '../support/entities.ts'
import { serve } from '../support/http.ts'
import { DIALECTS, openOrm } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'

/** What hooks of the entity saw of its session and request. */
const seen: string[] = []
const see =
  (hook: string) =>
  ({ entity }: any): void =>
    void seen.push(`${hook} ${typeof sessionOf(entity)} ${String(entity.request?.path)}`)

const Leaf = defineEntity({
  name: 'Leaf',
  extends: DeclaredTable,
  properties: { id: p.integer().primary(), text: p.string() },
  hooks: {
    beforeCreate: [see('beforeCreate')],
    afterCreate: [see('afterCreate')],
    beforeUpdate: [see('beforeUpdate')],
    beforeDelete: [see('beforeDelete')],
    onLoad: [see('onLoad')],
  },
})

const NOBODY = [undefined, undefined, undefined, undefined]
const belongsTo = (leaf: any): unknown[] => [sessionOf(leaf), requestOf(leaf), leaf.session, leaf.request]

for (const dialect of DIALECTS) {
  const test = databaseSuite(`whose an entity is, on ${dialect}`, dialect, {
    config: { entities: [...ENTITIES, Leaf] },
  })
  test.before.each(async ({ look }) => {
    await look.rows('delete from leaf')
    await look.rows(`insert into leaf (id, text) values (1, 'old')`)
    seen.length = 0
  })

  const ROLES: Record<string, [engine: object, disableTransaction?: boolean]> = {
    joined: [{}],
    'joined and kept': [{ keepSession: true }],
    reading: [{ readOnly: true }],
    snapshot: [{ readOnly: 'snapshot' }],
    autonomous: [{ commit: 'autonomous' }],
    autocommit: [{ commit: 'autocommit' }],
    disabled: [{}, true],
  }
  const ENDINGS: Record<string, (ctx: any) => unknown> = {
    returns: (ctx) => void (ctx.body = 'ok'),
    throws: (ctx) => ctx.throw(409),
    dooms: (ctx) => ctx.txn.doom(),
    commits: async (ctx) => await ctx.txn.commit(),
    aborts: async (ctx) => await ctx.txn.abort(),
  }
  for (const [kind, [engine, disableTransaction = false]] of Object.entries(ROLES)) {
    for (const [ending, end] of Object.entries(ENDINGS)) {
      test(`after a request that ${ending}, an entity has neither session nor request (${kind})`, async ({ orm }) => {
        const registry = new EngineRegistry<any>({ main: { orm, ...engine } }, { disableTransaction })
        let leaf: any
        const during: unknown[] = []
        let em: any
        const app = new Koa().use(dbSessions(registry)).use(async (ctx: any) => {
          em = ctx.dbSession.main
          leaf = await em.findOneOrFail(Leaf, 1)
          during.push(sessionOf(leaf) === em, requestOf(leaf) === ctx, leaf.session === em, leaf.request === ctx)
          await end(ctx)
        })
        const served = await serve(app)
        await served.request('GET', '/')
        await served.close()
        assert.equal(during, [true, true, true, true])
        assert.equal([...belongsTo(leaf), requestOf(em)], [...NOBODY, undefined])
      })
    }
  }

  async function run({ orm }: DatabaseWorld, work: (em: any, context: any) => unknown, engine: object = {}) {
    const registry = new EngineRegistry<any>({ main: { orm, ...engine } })
    await registry.run(async (context: any) => void (await work(context.dbSession.main, context)))
  }

  const LEAVINGS: Record<string, (em: any, leaf: any, context: any) => unknown> = {
    'em.clear()': (em) => em.clear(),
    'its removal': (em, leaf) => em.remove(leaf).flush(),
    'em.rollback()': (em) => em.rollback(),
    'a native delete and a refresh': async (em, leaf) => {
      await em.nativeDelete(Leaf, 1)
      await em.refresh(leaf)
      em.clear()
    },
    'the abort of its transaction': (_em, _leaf, { txn }) => txn.abort(),
  }
  for (const [what, leave] of Object.entries(LEAVINGS)) {
    test(`after ${what} an entity has no session`, (world) =>
      run(world, async (em, context) => {
        const leaf = await em.findOneOrFail(Leaf, 1)
        assert.is(sessionOf(leaf), em)
        await leave(em, leaf, context)
        assert.equal(belongsTo(leaf), NOBODY)
      }))
  }

  test('a new entity that is cleared, or that em.transactional() undid, has no session', (world) =>
    run(world, async (em) => {
      const pending = em.create(Leaf, { id: 2, text: 'new' })
      em.clear()
      assert.equal(belongsTo(pending), NOBODY)
      let nested: any
      await rejection(
        em.transactional(async (inner: any) => {
          nested = inner.create(Leaf, { id: 3, text: 'nested' })
          await inner.flush()
          assert.is(sessionOf(nested), em)
          throw new Error('undone')
        }),
      )
      assert.equal(belongsTo(nested), NOBODY)
    }))

  test('an entity stays with its session while it is scheduled, renumbered, referred to or nested', (world) =>
    run(world, async (em) => {
      const leaf = await em.findOneOrFail(Leaf, 1)
      leaf.id = 7
      assert.is(sessionOf(leaf), em)
      leaf.id = 1
      em.remove(leaf)
      assert.is(sessionOf(leaf), em)
      em.persist(leaf)
      assert.is(sessionOf(em.getReference(Leaf, 9)), em)
      let nested: any
      await em.transactional(async (inner: any) => {
        assert.is(sessionOf(leaf), em)
        nested = inner.create(Leaf, { id: 2, text: 'nested' })
      })
      assert.is(sessionOf(nested), em)
    }))

  test('hooks find the session and the request of their entity', async ({ orm }) => {
    const app = new Koa().use(dbSessions({ main: orm })).use(async (ctx: any) => {
      const { main } = ctx.dbSession
      const made = main.create(Leaf, { id: 2, text: 'new' })
      await main.flush()
      made.text = 'newer'
      await main.flush()
      await main.remove(await main.findOneOrFail(Leaf, 1)).flush()
      main.persist(made)
      await main.remove(made).flush()
      seen.push('again')
      main.persist(made)
      await main.flush()
      ctx.body = 'ok'
    })
    const served = await serve(app)
    assert.is((await served.request('GET', '/leaves')).status, 200, String(served.errors[0]))
    await served.close()
    const known = (hook: string): string => `${hook} object /leaves`
    // MikroORM gives an entity its entity manager with the first insert.
    const first = [
      'beforeCreate undefined undefined',
      ...['afterCreate', 'beforeUpdate', 'onLoad', 'beforeDelete'].map(known),
    ]
    assert.equal(seen, [...first, known('beforeDelete'), 'again', known('beforeCreate'), known('afterCreate')])
  })

  test('with keepSession an entity belongs to the next session of its role', (world) =>
    run(
      world,
      async (em, { dbSession, tm, txn }) => {
        const leaf = await em.findOneOrFail(Leaf, 1)
        await txn.commit()
        assert.equal(belongsTo(leaf), NOBODY)
        await tm.begin()
        assert.is(dbSession.main, em)
        assert.is(sessionOf(leaf), em)
      },
      { keepSession: true },
    ))

  test('an entity of a session that was closed has none', async ({ orm }) => {
    const em: any = new EngineRegistry<any>({ main: { orm } }).session('main')
    const leaf = await em.findOneOrFail(Leaf, 1)
    assert.is(sessionOf(leaf), em)
    await em.close()
    assert.equal(belongsTo(leaf), NOBODY)
  })

  const HANDLERS: Record<string, (ctx: any) => unknown> = {
    'a text': (ctx) => void (ctx.body = 'ok'),
    'a streamed body': (ctx) => void (ctx.body = Readable.from(['o', 'k'])),
    'a body that reads': (ctx) => void (ctx.body = Readable.from(textsOf(ctx))),
    'a failure': (ctx) => ctx.throw(500),
  }
  async function* textsOf(ctx: any): AsyncIterable<string> {
    for await (const { text } of ctx.dbSession.reader.stream(Leaf)) yield text
  }
  for (const [what, answer] of Object.entries(HANDLERS)) {
    for (const disableTransaction of [false, true]) {
      const mode = disableTransaction ? ', transactions disabled' : ''
      test(`an entity that is kept does not keep its request (${what}${mode})`, async ({ orm, target }) => {
        const second = await openOrm(target, { hasSchema: true, config: { entities: [...ENTITIES, Leaf] } })
        const registry = new EngineRegistry<any>(
          { main: { orm }, reader: { orm: second, readOnly: true } },
          { disableTransaction },
        )
        const kept: unknown[] = []
        const requests: WeakRef<object>[] = []
        const app = new Koa().use(dbSessions(registry)).use(async (ctx: any) => {
          kept.push(await ctx.dbSession.main.findOneOrFail(Leaf, 1), await ctx.dbSession.reader.findOneOrFail(Leaf, 1))
          kept.push(await ctx.dbSession.main.transactional((em: any) => em.create(Leaf, { id: 2, text: 'x' })))
          ctx.txn.doom()
          requests.push(new WeakRef(ctx))
          await answer(ctx)
        })
        const served = await serve(app)
        for (let i = 0; i < 5; i++) await served.request('GET', '/')
        await served.idle()
        await served.close()
        ;(served.exchanges as unknown[]).length = 0
        served.errors.length = 0
        setFlagsFromString('--expose-gc')
        const gc = runInNewContext('gc') as () => void
        for (let i = 0; i < 5; i++) {
          await turn(0)
          gc()
        }
        await second.close()
        const alive = requests.slice(0, 4).filter((request) => request.deref() !== undefined)
        assert.is(alive.length, 0)
        assert.is(kept.length, 15)
      })
    }
  }

  test.run()
}
