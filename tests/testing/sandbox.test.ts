/** What a sandbox is apart from what it shares with production: its levels, its refusals, and what it reports. */
import assert from 'node:assert/strict'
import { ConfigurationError, EngineRegistry } from '../../source/index.ts'
import {
  createSandbox,
  SandboxBusyError,
  SandboxEscapeError,
  SandboxLeakError,
  SandboxLostError,
  SandboxNotBegunError,
  SandboxReadAheadError,
} from '../../source/testing/index.ts'
import { Author, Book } from '../support/entities.ts'
import { DIALECTS, newDatabase, openOrm } from '../support/orms.ts'

import { rejection } from '../support/rejection.ts'
import { secondLook } from '../support/second-look.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'
import { warnings } from '../support/warnings.ts'
import { TwinSide, type Context } from './twin.ts'

for (const dialect of DIALECTS) {
  const test = suite<{ side: TwinSide }>(`testing: sandbox, ${dialect}`)
  const add = (side: TwinSide, name: string, role = 'writer') =>
    side.registry.run(async ({ dbSession }: Context) => void (await dbSession.get(role).insert(Author, { name })))
  const names = (side: TwinSide, role = 'writer') =>
    side.registry.run(async ({ dbSession }: Context) =>
      (await dbSession.get(role).find(Author, {}, { orderBy: { id: 'asc' } })).map(
        ({ name }: { name: string }) => name,
      ),
    )

  test.before(async (world) => void (world.side = await TwinSide.open(dialect)))
  test.before.each(async ({ side }) => void (side.sandbox = await createSandbox(side.registry, { waitMs: 200 })))
  test.after.each(async ({ side }) => {
    await side.sandbox!.close()
    assert.equal(await side.stored(), 0)
  })
  test.after(async ({ side }) => await side.close())

  test('levels nest: the fixtures of a file stay under each of its tests', async ({ side }) => {
    const sandbox = side.sandbox!
    await sandbox.begin()
    await add(side, 'fixture')
    for (const name of ['one', 'two']) {
      await sandbox.begin()
      await add(side, name)
      await add(side, `${name} audited`, 'audit')
      assert.deepEqual(await names(side), ['fixture', name])
      assert.deepEqual(await names(side, 'audit'), [`${name} audited`])
      await sandbox.rollback()
    }
    assert.deepEqual(await names(side), ['fixture'])
    assert.deepEqual(await names(side, 'audit'), [])
    await sandbox.rollback()
  })

  test('outside of a test every role is refused, and nothing is sent', async ({ side }) => {
    for (const role of ['writer', 'logger', 'trail']) {
      assert.ok((await rejection(add(side, 'lost', role))) instanceof SandboxNotBegunError)
    }
    for (const role of ['reader', 'snapshot'])
      assert.ok((await rejection(names(side, role))) instanceof SandboxNotBegunError)
    await side.sandbox!.begin()
    await add(side, 'kept')
    await side.sandbox!.rollback()
    assert.ok((await rejection(add(side, 'lost'))) instanceof SandboxNotBegunError)
  })

  test('an ORM outside of requests and runs is refused', async ({ side }) => {
    await side.sandbox!.begin()
    const em = (side.registry.get('writer') as any).em.fork()
    em.create(Author, { name: 'past it' })
    for (const escape of [
      () => em.flush(),
      () => em.execute('select 1'),
      () => em.transactional(async () => undefined),
      () => em.getKysely().selectFrom('author').selectAll().execute(),
      () => em.qb(Author).getResultList(),
    ]) {
      const error = await rejection(escape())
      assert.ok(error instanceof SandboxEscapeError, String(error))
    }
    // What a role that commits at once sends this way is held.
    const held = (side.registry.get('trail') as any).em.fork()
    await held.insert(Author, { name: 'held' })
    assert.deepEqual(await names(side, 'trail'), ['held'])
    await side.sandbox!.rollback()
  })

  test('with sequences and escapes as they are, an ORM works again once the sandbox is closed', async ({ side }) => {
    await side.sandbox!.begin()
    await add(side, 'gone')
    await side.sandbox!.close()
    await add(side, 'stored')
    const em = (side.registry.get('writer') as any).em.fork()
    assert.equal(await em.count(Author), 1)
    await em.nativeDelete(Author, {})
  })

  test('a handler that waits for its own server is refused, and names both requests', async ({ side }) => {
    await side.sandbox!.begin()
    let inner: { status: number; body: unknown } | undefined
    let error: Error | undefined
    const { status } = await side.request(async (ctx) => {
      await ctx.dbSession.writer.insert(Author, { name: 'outer' })
      inner = await side.request(async (other) => {
        try {
          await other.dbSession.writer.count(Author)
        } catch (thrown) {
          error = thrown as Error
          throw thrown
        }
      })
      ctx.status = 204
    })
    assert.deepEqual([status, inner?.status], [204, 500])
    const cause = (error?.cause ?? error) as Error
    assert.ok(cause instanceof SandboxBusyError, String(error))
    assert.match(
      cause.message,
      /POST \/.*waited 200 ms for the sandbox, which .*POST \/.* has had for \d+ ms, at last with "insert into/,
    )
    assert.equal(side.sandbox!.report().waits, 1)
    await side.sandbox!.rollback()
  })

  test('a role that reads ahead is warned of, once for each place', async ({ side }) => {
    await side.sandbox!.begin()
    const readAhead = async (): Promise<void> => {
      const { status } = await side.request(async (ctx) => {
        await ctx.dbSession.writer.insert(Author, { name: 'ahead' })
        for (let count = 0; count < 3; count++) await ctx.dbSession.reader.count(Author)
        ctx.status = 204
      })
      assert.equal(status, 204)
    }
    const [first, ...more] = await warnings('SQLASSIST_SANDBOX_READ_AHEAD', async () => {
      await readAhead()
      await readAhead()
    })
    assert.match(String(first?.message), /"reader" reads while the role "writer".*sandbox\.test\.ts/)
    assert.deepEqual(more, [])
    assert.equal(side.sandbox!.report().readAhead, 6)
    await side.sandbox!.rollback()
  })

  test('with readAhead: "error" it fails', async ({ side }) => {
    await side.sandbox!.close()
    side.sandbox = await createSandbox(side.registry, { readAhead: 'error' })
    await side.sandbox.begin()
    const errors: unknown[] = []
    const note = (error: unknown) => void errors.push(error)
    await side.request(async (ctx) => {
      await ctx.dbSession.writer.insert(Author, { name: 'ahead' })
      await ctx.dbSession.reader.count(Author).catch(note)
      await ctx.dbSession.snapshot.count(Author).catch(note)
    })
    await side.request(async (ctx) => {
      await ctx.dbSession.snapshot.count(Author)
      await ctx.dbSession.writer.insert(Author, { name: 'ahead of a snapshot that was there before' })
      await ctx.dbSession.snapshot.count(Author).catch(note)
    })
    assert.equal(errors.length, 3)
    for (const error of errors) assert.ok(error instanceof SandboxReadAheadError, String(error))
    await side.sandbox.rollback()
  })

  test('hooks are captured, also those of requests, and run by hand', async ({ side }) => {
    const sandbox = side.sandbox!
    const ran: unknown[] = []
    await sandbox.begin()
    const captured = await sandbox.captureHooks(async () => {
      await side.request(async (ctx) => {
        ctx.txn.addAfterCommitHook((...args: unknown[]) => void ran.push(args), 'mail', 1)
        await ctx.dbSession.writer.insert(Author, { name: 'hooked' })
      })
      await side.request(async (ctx) => {
        ctx.txn.addAfterCommitHook((...args: unknown[]) => void ran.push(args), 'failed')
        await ctx.dbSession.writer.insert(Book, { title: null })
      })
      await side.request(async (ctx) => {
        const savepoint = await ctx.txn.savepoint()
        ctx.txn.addAfterCommitHook((...args: unknown[]) => void ran.push(args), 'after a way back')
        await savepoint.rollback()
      })
    })
    assert.deepEqual(
      captured.map(({ kind, args }) => [kind, ...args]),
      [
        ['afterCommit', 'mail', 1],
        ['afterCommit', 'after a way back'],
      ],
    )
    // The handler failed, so that there was no commit whose hook could run.
    assert.deepEqual(ran, [])
    await sandbox.runHooks(captured)
    assert.deepEqual(ran, [
      [true, 'mail', 1],
      [true, 'after a way back'],
    ])
    await sandbox.rollback()
  })

  test('with run: true the hooks run behind the work, with those that they lead to', async ({ side }) => {
    const ran: string[] = []
    await side.sandbox!.begin()
    const captured = await side.sandbox!.captureHooks(
      async () => {
        await side.registry.run(({ txn, dbSession }: Context) => {
          dbSession.writer.create(Author, { name: 'first' })
          txn.addAfterCommitHook(async () => {
            ran.push('first')
            await side.registry.run(
              (inner: Context) => void inner.txn.addAfterCommitHook(() => void ran.push('second')),
            )
          })
        })
        ran.push('work is done')
      },
      { run: true },
    )
    assert.deepEqual(ran, ['work is done', 'first', 'second'])
    assert.equal(captured.length, 2)
    const error = await rejection(
      side.sandbox!.captureHooks(
        () =>
          side.registry.run(({ txn }: Context) => void txn.addAfterCommitHook(() => Promise.reject(new Error('hook')))),
        { run: true },
      ),
    )
    assert.equal(error.message, 'hook')
    await side.sandbox!.rollback()
  })

  test('what is open as a test is rolled back is named, rolled back, and sends nothing more', async ({ side }) => {
    await side.sandbox!.begin()
    const go = Promise.withResolvers<void>()
    let isInside = false
    const running = side.registry.run(
      async ({ dbSession }: Context) => {
        await dbSession.writer.insert(Author, { name: 'open' })
        isInside = true
        await go.promise
        await dbSession.writer.insert(Author, { name: 'later' })
      },
      { name: 'forgotten' },
    )
    running.catch(() => undefined)
    await until(() => isInside)
    const leak = await rejection(side.sandbox!.rollback())
    assert.ok(leak instanceof SandboxLeakError, String(leak))
    assert.match(leak.message, /run/)
    await side.sandbox!.begin()
    go.resolve()
    const late = await rejection(running)
    assert.ok(late instanceof SandboxLeakError || late.cause instanceof SandboxLeakError, String(late))
    assert.deepEqual(await names(side), [])
    await side.sandbox!.rollback()
  })

  test('a session that is left open is named and rolled back', async ({ side }) => {
    await side.sandbox!.begin()
    const em: any = side.registry.session('writer')
    await em.insert(Author, { name: 'open' })
    const leak = await rejection(side.sandbox!.rollback())
    assert.ok(leak instanceof SandboxLeakError)
    assert.match(leak.message, /registry\.session\("writer"\)/)
    await em.close()
  })

  test('a level waits for what is under way, and does not begin upon an open transaction', async ({ side }) => {
    const sandbox = side.sandbox!
    await sandbox.begin()
    const inside = Promise.withResolvers<void>()
    const go = Promise.withResolvers<void>()
    const running = side.registry.run(async ({ dbSession }: Context) => {
      await dbSession.writer.insert(Author, { name: 'fixture' })
      inside.resolve()
      await go.promise
    })
    await inside.promise
    const began = sandbox.begin()
    go.resolve()
    await began
    await running
    await add(side, 'of the test')
    await sandbox.rollback()
    assert.deepEqual(await names(side), ['fixture'])
    const em: any = side.registry.session('writer')
    await em.insert(Author, { name: 'not committed' })
    const refusal = await rejection(sandbox.begin())
    assert.ok(refusal instanceof ConfigurationError, String(refusal))
    assert.match(refusal.message, /while registry\.session\("writer"\) has a transaction open/)
    await em.rollback()
    await sandbox.begin()
    await add(side, 'of the test')
    await sandbox.rollback()
    assert.deepEqual(await names(side), ['fixture'])
    await em.close()
    await sandbox.rollback()
  })

  test('what is open as a sandbox is closed leaves no level of it begun', async () => {
    const registry = new EngineRegistry({ writer: await openOrm(await newDatabase(dialect)) })
    const sandbox = await createSandbox(registry, { waitMs: 50 })
    await sandbox.begin()
    await registry.run(async ({ dbSession }) => void (await dbSession.writer.insert(Author, { name: 'fixture' })))
    await sandbox.begin()
    const em = registry.session('writer')
    await em.insert(Author, { name: 'open' })
    assert.ok((await rejection(sandbox.close())) instanceof SandboxLeakError)
    await em.close()
    assert.equal(await registry.run(({ dbSession }) => dbSession.writer.count(Author)), 0)
    await registry.close()
  })

  test('the report counts what was done since the last begin', async ({ side }) => {
    await side.sandbox!.begin()
    await add(side, 'one')
    assert.equal(side.sandbox!.report().frames, 1)
    await side.sandbox!.begin()
    await names(side)
    await names(side, 'reader')
    assert.deepEqual(side.sandbox!.report(), { frames: 2, replayed: 0, waits: 0, readAhead: 0 })
    await side.sandbox!.rollback()
    await side.sandbox!.rollback()
  })

  test('options that cannot work are refused', async ({ side }) => {
    const refused = async (make: () => Promise<unknown>, message: RegExp): Promise<void> => {
      const error = await rejection(make())
      assert.ok(error instanceof ConfigurationError, String(error))
      assert.match(error.message, message)
    }
    const { registry } = side
    await refused(() => createSandbox(registry), /has a sandbox/)
    await refused(() => createSandbox(registry, { waitMs: -1 }), /waitMs is -1/)
    await refused(() => createSandbox(registry, { escapes: 'no' as never }), /escapes is "no".*"refuse" or "allow"/)
    await refused(() => createSandbox(registry, { wait: 1 } as never), /no option "wait"/)
    await refused(() => side.sandbox!.rollback(), /no test is begun/)
    await refused(() => side.sandbox!.captureHooks(() => undefined, { kinds: ['later' as never] }), /kinds is "later"/)
    await side.sandbox!.close()
    await side.sandbox!.close()
    await refused(() => side.sandbox!.begin(), /closed/)
    const env = process.env['NODE_ENV']
    process.env['NODE_ENV'] = 'production'
    try {
      await refused(() => createSandbox(registry), /NODE_ENV is "production"/)
    } finally {
      if (env === undefined) delete process.env['NODE_ENV']
      else process.env['NODE_ENV'] = env
    }
  })

  test('pools are not renewed under the rows of a test', async ({ side }) => {
    await side.sandbox!.begin()
    await add(side, 'kept')
    for (const renew of [() => side.registry.reinit(), () => side.registry.dispose('writer')]) {
      const error = await rejection(renew())
      assert.ok(error instanceof ConfigurationError, String(error))
      assert.match(error.message, /holds the rows of the test/)
    }
    assert.deepEqual(await names(side), ['kept'])
    await side.sandbox!.rollback()
    await side.registry.reinit('writer')
  })

  test('an ORM is in one sandbox only', async () => {
    const orm = await openOrm(await newDatabase(dialect))
    const [one, two] = [new EngineRegistry({ writer: orm }), new EngineRegistry({ writer: orm })]
    const sandbox = await createSandbox(one)
    const error = await rejection(createSandbox(two))
    assert.match(error.message, /an ORM of it, has a sandbox/)
    await sandbox.close()
    await (await createSandbox(two)).close()
    assert.equal(await orm.em.fork().count(Author), 0)
    await one.close()
    await two.close()
  })

  test('a registry that is closed under it ends it', async () => {
    const registry = new EngineRegistry({ writer: await openOrm(await newDatabase(dialect)) })
    const sandbox = await createSandbox(registry)
    await sandbox.begin()
    await registry.run(async ({ dbSession }) => void (await dbSession.writer.insert(Author, { name: 'gone' })))
    await registry.close()
    await sandbox.close()
    assert.match((await rejection(createSandbox(registry))).message, /closed/)
  })

  test('with transactions disabled each session commits alone', async () => {
    const target = await newDatabase(dialect)
    const registry = new EngineRegistry({ writer: await openOrm(target) }, { disableTransaction: true })
    const sandbox = await createSandbox(registry)
    await sandbox.begin()
    await registry.run(async ({ dbSession }) => void dbSession.writer.create(Author, { name: 'committed' }))
    await rejection(
      registry.run(async ({ dbSession }) => {
        await dbSession.writer.insert(Author, { name: 'not' })
        throw new Error('fails')
      }),
    )
    assert.equal(await registry.run(({ dbSession }) => dbSession.writer.count(Author)), 1)
    await sandbox.rollback()
    await sandbox.close()
    assert.equal(await registry.run(({ dbSession }) => dbSession.writer.count(Author)), 0)
    await registry.close()
  })

  if (dialect === 'postgresql') {
    test('a lost connection fails the test, and the next one has another', async ({ side }) => {
      await side.sandbox!.begin()
      await add(side, 'lost')
      await side.looks[0]!.rows(
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and state = 'idle in transaction'`,
      )
      const error = await rejection(names(side))
      assert.ok(error instanceof SandboxLostError || error.cause instanceof SandboxLostError, String(error))
      assert.ok((await rejection(side.sandbox!.rollback())) instanceof SandboxLostError)
      await side.sandbox!.begin()
      await add(side, 'again')
      assert.deepEqual(await names(side), ['again'])
      await side.sandbox!.rollback()
    })

    test('what a commit of two databases asks them in a sandbox is forgotten with it', async ({ side }) => {
      await side.sandbox!.begin()
      await side.registry.run(async ({ dbSession: { writer, audit } }: Context) => {
        await writer.insert(Author, { name: 'both' })
        await audit.insert(Author, { name: 'both' })
      })
      await side.sandbox!.close()
      for (const role of ['writer', 'audit'])
        assert.notEqual(await side.registry.engine(role).databaseName(), 'sandbox', role)
    })

    test('what one role has set for its transaction is warned of where another one sends something', async ({
      side,
    }) => {
      await side.sandbox!.begin()
      const seen = await warnings('SQLASSIST_SANDBOX_SETTINGS', async () => {
        for (let times = 0; times < 2; times++) {
          await side.registry.run(async ({ dbSession }: Context) => {
            await dbSession.writer.execute(`set local search_path to public`)
            await dbSession.logger.execute('select 1')
          })
        }
      })
      assert.equal(seen.length, 1)
      assert.match(String(seen[0]?.message), /"logger" sends a statement while the role "writer" has set something/)
      await side.sandbox!.rollback()
    })

    test('sequences go on after a rollback, or are set back', async ({ side }) => {
      const id = () =>
        side.registry.run(async ({ dbSession }: Context) => {
          const author = dbSession.writer.create(Author, { name: 'numbered' })
          await dbSession.writer.flush()
          return author.id
        })
      const inTest = async () => {
        await side.sandbox!.begin()
        const ids = [await id(), await id()]
        await side.sandbox!.rollback()
        return ids
      }
      const [first = 0] = await inTest()
      assert.deepEqual(await inTest(), [first + 2, first + 3])
      await side.sandbox!.close()
      side.sandbox = await createSandbox(side.registry, { sequences: 'restore' })
      const restored = await inTest()
      assert.deepEqual(await inTest(), restored)
      // The outer level has used one.
      await side.sandbox.begin()
      const outer = await id()
      assert.deepEqual(await inTest(), [outer + 1, outer + 2])
      assert.deepEqual(await inTest(), [outer + 1, outer + 2])
      await side.sandbox.rollback()
    })

    test('escapes: "allow" lets an ORM past it', async ({ side }) => {
      await side.sandbox!.close()
      side.sandbox = await createSandbox(side.registry, { escapes: 'allow' })
      await side.sandbox.begin()
      const em = (side.registry.get('writer') as any).em.fork()
      await em.insert(Author, { name: 'stays' })
      assert.equal(await side.stored(), 1)
      await em.nativeDelete(Author, {})
      await side.sandbox.rollback()
    })

    test('a client that goes away has its statement cancelled', async ({ side }) => {
      await side.sandbox!.begin()
      const controller = new AbortController()
      const running = side.registry.run(
        async ({ dbSession }: Context) => void (await dbSession.writer.execute('select pg_sleep(600)')),
        { signal: controller.signal },
      )
      running.catch(() => undefined)
      await until(async () => {
        const active = `select count(*) from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'`
        return (await side.looks[0]!.value(active)) === 1
      })
      controller.abort(new Error('gone'))
      assert.equal((await rejection(running)).message, 'gone')
      await add(side, 'goes on')
      assert.deepEqual(await names(side), ['goes on'])
      await side.sandbox!.rollback()
    })

    test('two databases of one name for two roles are one, by any host name', async ({ side }) => {
      const [target = ''] = side.targets
      const alias = target.replace('127.0.0.1', 'localhost')
      const registry = new EngineRegistry({
        writer: await openOrm(target),
        reader: { orm: await openOrm(alias), readOnly: true },
      })
      const sandbox = await createSandbox(registry)
      await sandbox.begin()
      await registry.run(async ({ dbSession }) => void (await dbSession.writer.insert(Author, { name: 'seen' })))
      assert.equal(await registry.run(({ dbSession }) => dbSession.reader.count(Author)), 1)
      await sandbox.close()
      await registry.close()
    })

    for (const sessionContext of ['transaction', 'connection'] as const) {
      test(`each role has its own variables and role, with sessionContext: "${sessionContext}"`, async () => {
        const target = await newDatabase(dialect)
        const open = (tenant: string) =>
          openOrm(target, { config: { sessionContext } }).then((orm) => ({
            orm,
            fork: { session: { variables: { 'app.tenant': tenant } } },
          }))
        const registry = new EngineRegistry({
          writer: await open('one'),
          audit: { ...(await open('two')), twoPhase: false },
          logger: { orm: await openOrm(target), commit: 'autonomous' },
        })
        const sandbox = await createSandbox(registry)
        await sandbox.begin()
        const seen = `select coalesce(current_setting('app.tenant', true), '') as tenant`
        const found = await registry.run(async ({ dbSession: { writer, audit, logger } }) => [
          await writer.execute(seen),
          await audit.execute(seen),
          await logger.execute(seen),
          await writer.execute(seen),
          await writer.transactional((em) => em.execute(seen)),
        ])
        const tenants = (found as { tenant: string }[][]).map(([row]) => row?.tenant)
        assert.deepEqual(tenants, ['one', 'two', '', 'one', 'one'])
        await registry.run(async ({ dbSession: { logger } }) => {
          await logger.execute(`set statement_timeout = '5s'`)
          await logger.execute(`select set_config('app.tenant', 'left', false)`)
        })
        assert.deepEqual(
          await registry.run(({ dbSession: { logger } }) =>
            logger.execute(`${seen}, current_setting('statement_timeout') as timeout`),
          ),
          [{ tenant: '', timeout: '0' }],
        )
        await sandbox.rollback()
        await sandbox.close()
        await registry.close()
      })
    }

    test('what is set as a connection is made stays set, also where a request sets something for itself', async () => {
      const target = await newDatabase(dialect)
      await (await openOrm(target)).close()
      const look = await secondLook(target)
      await look.rows('create schema own')
      await look.rows('alter table author set schema own')
      await look.rows(
        `alter database ${new URL(target).pathname.slice(1)} set idle_in_transaction_session_timeout = '1h'`,
      )
      const onCreateConnection = async (connection: any): Promise<void> => {
        const sql = `set search_path to own; set role pg_read_all_data; set lock_timeout = '7s'`
        await connection.executeQuery({ sql, parameters: [], query: { kind: 'RawNode' } })
      }
      const registry = new EngineRegistry({
        writer: await openOrm(target, { hasSchema: true, config: { onCreateConnection } }),
      })
      const sandbox = await createSandbox(registry)
      await sandbox.begin()
      const settings = ['search_path', 'role', 'lock_timeout', 'statement_timeout'].map(
        (name) => `current_setting('${name}') as ${name}`,
      )
      const seen = () => registry.run(({ dbSession }) => dbSession.writer.execute(`select ${settings.join(', ')}`))
      const before = await seen()
      await registry.run(async ({ dbSession }) => {
        const { writer } = dbSession
        await writer.execute(`set local role none`)
        await writer.execute(`set local search_path to public`)
        await writer.execute(`set local statement_timeout = '5s'`)
        dbSession.markChanged('writer')
      })
      assert.deepEqual(before, [
        { search_path: 'own', role: 'pg_read_all_data', lock_timeout: '7s', statement_timeout: '0' },
      ])
      assert.deepEqual(await seen(), before)
      const idle = () =>
        registry.run(({ dbSession }) =>
          dbSession.writer.execute(`select current_setting('idle_in_transaction_session_timeout') as idle`),
        )
      assert.deepEqual(await idle(), [{ idle: '0' }])
      // The next test begins another transaction.
      await sandbox.rollback()
      await sandbox.begin()
      assert.deepEqual(await idle(), [{ idle: '0' }])
      assert.deepEqual(await seen(), before)
      await sandbox.close()
      await registry.close()
      await look.close()
    })

    test('a role with replicas reads what the writer has committed in the test', async () => {
      const target = await newDatabase(dialect)
      const { port } = new URL(target)
      const reader = await openOrm(target, { config: { replicas: [{ host: '127.0.0.1', port: Number(port) }] } })
      const registry = new EngineRegistry({
        writer: await openOrm(target),
        reader: { orm: reader, readOnly: true, replicaOf: 'writer' },
      })
      const sandbox = await createSandbox(registry)
      await sandbox.begin()
      await registry.run(async ({ dbSession }) => void (await dbSession.writer.insert(Author, { name: 'committed' })))
      assert.equal(await registry.run(({ dbSession }) => dbSession.reader.count(Author)), 1)
      await sandbox.close()
      assert.equal(await registry.run(({ dbSession }) => dbSession.reader.count(Author)), 0)
      await registry.close()
    })
  } else {
    test('a deferred foreign key fails the request as its commit would', async ({ side }) => {
      const [look] = side.looks
      await look!.rows(
        'create table child (id integer primary key, parent int references author (id) deferrable initially deferred)',
      )
      await side.sandbox!.begin()
      const child = async (fill: boolean) =>
        await side.request(async (ctx) => {
          const { writer } = ctx.dbSession
          await writer.execute('insert into child (parent) values (77)')
          if (fill) await writer.execute(`insert into author (id, name) values (77, 'late')`)
          ctx.dbSession.markChanged('writer')
          ctx.status = 204
        })
      assert.equal((await child(false)).status, 500)
      assert.deepEqual(await names(side), [])
      assert.equal((await child(true)).status, 204)
      assert.deepEqual(await names(side), ['late'])
      await side.sandbox!.rollback()
      await look!.rows('drop table child')
    })

    test('a statement that ends the transaction loses the sandbox', async ({ side }) => {
      const [look] = side.looks
      await look!.rows(`create trigger ends before insert on tag begin select raise(rollback, 'ended'); end`)
      await side.sandbox!.begin()
      await add(side, 'before')
      const error = await rejection(
        side.registry.run(
          async ({ dbSession }: Context) => await dbSession.writer.execute(`insert into tag (label) values ('x')`),
        ),
      )
      assert.ok(error instanceof SandboxLostError || error.cause instanceof SandboxLostError, String(error))
      assert.ok((await rejection(side.sandbox!.rollback())) instanceof SandboxLostError)
      await look!.rows('drop trigger ends')
    })
  }
  test.run()
}
