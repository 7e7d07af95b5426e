/** Each case in a sandbox and on a database of its own with real commits: what comes of it is the same. */
import assert from 'node:assert/strict'
import { Author, Book } from '../support/entities.ts'
import { DIALECTS, type Dialect } from '../support/orms.ts'
import { suite } from '../support/suite.ts'
import { TwinSide, type TwinWorld } from './twin.ts'

interface Case {
  readonly title: string
  readonly only?: Dialect
  readonly work: (world: TwinWorld) => Promise<unknown>
}

const fails = (work: () => Promise<unknown>): Promise<string> =>
  work().then(
    () => 'nothing',
    (error: Error & { code?: string }) => error.code ?? error.name,
  )

/** Begins a run that has written a row. Its end is a failure. */
async function failingRun(registry: TwinWorld['registry']): Promise<() => Promise<unknown>> {
  const inside = Promise.withResolvers<void>()
  const go = Promise.withResolvers<void>()
  const running = fails(() =>
    registry.run(async ({ dbSession }: any) => {
      await dbSession.writer.insert(Author, { name: 'of the run' })
      inside.resolve()
      await go.promise
      throw new Error('meant')
    }),
  )
  await inside.promise
  return () => {
    go.resolve()
    return running
  }
}

const CASES: readonly Case[] = [
  {
    title: 'a handler that commits early keeps its row, also where the request then fails',
    work: ({ request }) =>
      request(async (ctx) => {
        ctx.dbSession.writer.create(Author, { name: 'early' })
        await ctx.txn.commit()
        throw new Error('late')
      }),
  },
  {
    title: 'a run inside of a request commits on its own',
    only: 'postgresql',
    work: ({ request, registry }) =>
      request(async (ctx) => {
        await ctx.dbSession.writer.insert(Author, { name: 'outer' })
        await registry.run(({ dbSession }: any) => dbSession.writer.insert(Author, { name: 'inner' }))
        throw new Error('outer fails')
      }),
  },
  {
    title: 'a log entry outlives the request that fails, with its id',
    work: async ({ request, heard }) => {
      await request(async (ctx) => {
        const author = ctx.dbSession.writer.create(Author, { name: 'gone' })
        await ctx.dbSession.writer.flush()
        const entry = ctx.dbSession.logger.create(Author, { name: 'log' })
        await ctx.dbSession.logger.flush()
        heard.push(`${author.id} ${entry.id}`)
        throw new Error('fails')
      })
      return heard
    },
  },
  {
    title: 'hooks run with what became of the commit',
    work: async ({ request, heard }) => {
      await request(async (ctx) => {
        ctx.txn.addAfterCommitHook((committed: boolean) => void heard.push(`after ${committed}`))
        ctx.dbSession.writer.create(Author, { name: 'hooked' })
      })
      await request(async (ctx) => {
        ctx.txn.addAfterCommitHook((committed: boolean) => void heard.push(`after ${committed}`))
        ctx.dbSession.writer.create(Book, { title: 'one', author: null })
        ctx.dbSession.writer.create(Book, { title: 'one', author: null })
      })
      return heard
    },
  },
  {
    title: 'what one request commits the next one reads, over every role',
    work: async ({ request }) => {
      await request(async (ctx) => void ctx.dbSession.writer.create(Author, { name: 'first' }))
      return await request(async (ctx) => {
        const { reader, snapshot, writer } = ctx.dbSession
        ctx.body = [await reader.count(Author), await snapshot.count(Author), await writer.count(Author)]
      })
    },
  },
  {
    title: 'a swallowed error fails the commit',
    work: ({ request }) =>
      request(async (ctx) => {
        const { writer } = ctx.dbSession
        await writer.insert(Book, { title: 'same' })
        await writer.insert(Book, { title: 'same' }).catch(() => undefined)
        ctx.body = 'done'
      }),
  },
  {
    title: 'nested transactions go back alone',
    work: ({ request }) =>
      request(async (ctx) => {
        const { writer } = ctx.dbSession
        await writer.insert(Author, { name: 'outer' })
        await writer
          .transactional(async (em: any) => {
            await em.insert(Author, { name: 'inner' })
            throw new Error('inner')
          })
          .catch(() => undefined)
        await writer.transactional(async (em: any) => void (await em.insert(Author, { name: 'kept' })))
      }),
  },
  {
    title: 'a nested transaction that only reads refuses to write, and the transaction around it goes on to write',
    work: ({ request, registry, dialect, heard }) =>
      request(async (ctx) => {
        const { writer, logger } = ctx.dbSession
        const inRead = (work: (em: any) => unknown) =>
          fails(() => writer.transactional(async (em: any) => void (await work(em)), { readOnly: true }))
        const inner = Promise.withResolvers<void>()
        const go = Promise.withResolvers<void>()
        const inside = async ({ dbSession }: any) => {
          await dbSession.writer.insert(Author, { name: 'undone' })
          inner.resolve()
          await go.promise
          throw new Error('fails')
        }
        await writer.insert(Author, { name: 'first' })
        heard.push(await inRead((em) => em.count(Author)), await inRead((em) => em.insert(Author, { name: 'refused' })))
        await writer.insert(Author, { name: 'second' })
        if (dialect === 'sqlite') return
        heard.push(await inRead((em) => em.execute('select test_write()')))
        const running = fails(() => registry.run(inside))
        await inner.promise
        heard.push(await inRead((em) => em.insert(Author, { name: 'refused' })))
        await writer.execute('savepoint own')
        await writer.insert(Author, { name: 'undone' })
        await writer.execute('rollback to own')
        go.resolve()
        await running
        await logger.insert(Author, { name: 'entry' })
        await writer.insert(Author, { name: 'undone as well' })
        await writer.execute('rollback to own')
        await writer.insert(Author, { name: 'third' })
      }),
  },
  {
    title: 'savepoints of the transaction go back',
    work: ({ request }) =>
      request(async (ctx) => {
        const { writer } = ctx.dbSession
        await writer.insert(Author, { name: 'before' })
        const savepoint = await ctx.txn.savepoint()
        await writer.insert(Author, { name: 'undone' })
        await savepoint.rollback()
        await writer.insert(Author, { name: 'after' })
      }),
  },
  {
    title: 'savepoints of the program are set and released among other statements of one text',
    only: 'postgresql',
    work: async ({ request }) => [
      await request(async (ctx) => {
        const { writer } = ctx.dbSession
        const add = (name: string) => `insert into author (name) values ('${name}')`
        await writer.insert(Author, { name: 'first' })
        await writer.execute(`savepoint own; ${add('kept; savepoint')}; release savepoint own;`)
        await writer.execute(`${add('before')}; savepoint own; ${add('undone')} -- ; release own`)
        ctx.body = await writer.execute(`rollback to own; ${add('after')}`)
        ctx.dbSession.markChanged('writer')
      }),
      await request(async (ctx) => {
        const { writer } = ctx.dbSession
        await writer.insert(Author, { name: 'second' })
        ctx.body = await fails(() => writer.execute(`savepoint own; select nothing; release savepoint own`))
        await writer.execute('rollback to own')
      }),
    ],
  },
  {
    title: 'the case of a savepoint whose name is in quotes counts on PostgreSQL, and not on SQLite',
    work: ({ request }) =>
      request(async (ctx) => {
        const { writer } = ctx.dbSession
        await writer.insert(Author, { name: 'first' })
        await writer.execute('savepoint a')
        await writer.insert(Author, { name: 'second' })
        await writer.execute('savepoint "A"')
        await writer.insert(Author, { name: 'third' })
        await writer.execute('rollback to A')
        ctx.body = [await fails(() => writer.execute('release "A"')), await writer.count(Author).catch(() => 'aborted')]
        ctx.dbSession.markChanged('writer')
      }),
  },
  {
    title:
      'what was lost with a run inside of the request, and is behind a savepoint gone back to, does not come again',
    only: 'postgresql',
    work: ({ request, registry }) =>
      request(async (ctx) => {
        const { writer } = ctx.dbSession
        await writer.insert(Author, { name: 'first' })
        await writer.execute('savepoint own')
        const end = await failingRun(registry)
        await writer.insert(Author, { name: 'undone' })
        await end()
        await writer.execute('rollback to own')
        ctx.body = await writer.count(Author)
      }),
  },
  {
    title: 'a savepoint that is released while a run inside of the request is open takes nothing of that with it',
    only: 'postgresql',
    work: ({ request, registry }) =>
      request(async (ctx) => {
        const { writer } = ctx.dbSession
        await writer.execute('savepoint own')
        await writer.insert(Author, { name: 'first' })
        const end = await failingRun(registry)
        await writer.execute('release own')
        await end()
        ctx.body = await writer.count(Author)
      }),
  },
  {
    title: 'a commit that is refused fails the statement of a role that commits each',
    only: 'postgresql',
    work: ({ request }) =>
      request(async (ctx) => {
        const { trail } = ctx.dbSession
        const twice = 'insert into later (value) values (3), (3)'
        const inOne = (kysely: any) => kysely.executeQuery({ sql: twice, parameters: [], query: { kind: 'RawNode' } })
        ctx.body = [
          await fails(() => trail.execute(twice)),
          await fails(() => trail.getKysely().transaction().execute(inOne)),
          await trail.execute('select * from later'),
        ]
      }),
  },
  {
    title: 'a deferred constraint is checked where the first statement is a text of several',
    only: 'postgresql',
    work: ({ request }) =>
      request(async (ctx) => {
        await ctx.dbSession.writer.execute('insert into later (value) values (3), (3); select 1')
        ctx.dbSession.markChanged('writer')
      }),
  },
  {
    title: 'what a role that commits each statement leaves open is rolled back',
    work: ({ request }) =>
      request(async (ctx) => {
        const { trail } = ctx.dbSession
        const leavesOpen = async (kysely: any) => {
          await kysely.executeQuery({ sql: 'begin', parameters: [], query: { kind: 'RawNode' } })
          await kysely.insertInto('author').values({ name: 'undone' }).execute()
        }
        await fails(() => trail.getKysely().connection().execute(leavesOpen))
        await trail.insert(Author, { name: 'behind it' })
      }),
  },
  {
    title: 'an error that a savepoint takes back does not fail the commit',
    work: ({ request }) =>
      request(async (ctx) => {
        const { writer } = ctx.dbSession
        await writer.insert(Book, { title: 'same' })
        const failed = await fails(() => writer.transactional((em: any) => em.insert(Book, { title: 'same' })))
        await writer.insert(Book, { title: failed })
      }),
  },
  {
    title: 'two databases are committed as one, or not at all',
    work: async ({ request }) => [
      await request(async (ctx) => {
        ctx.dbSession.writer.create(Author, { name: 'both' })
        ctx.dbSession.audit.create(Author, { name: 'both' })
      }),
      await request(async (ctx) => {
        ctx.dbSession.writer.create(Book, { title: 'same', author: null })
        await ctx.dbSession.writer.flush()
        ctx.dbSession.writer.create(Book, { title: 'same', author: null })
        ctx.dbSession.audit.create(Author, { name: 'neither' })
      }),
    ],
  },
  {
    title: 'a role that commits every statement keeps them',
    work: async ({ request }) => [
      await request(async (ctx) => {
        const { trail } = ctx.dbSession
        trail.create(Author, { name: 'flushed' })
        await trail.flush()
        await trail.execute(`insert into author (name) values ('raw')`)
        await trail.transactional(async (em: any) => void em.create(Author, { name: 'nested' }))
        await trail
          .transactional(async (em: any) => {
            await em.insert(Author, { name: 'undone' })
            throw new Error('undone')
          })
          .catch(() => undefined)
        const names = []
        for await (const author of trail.stream(Author, { orderBy: { id: 'asc' } })) names.push(author.name)
        ctx.body = names
        throw Object.assign(new Error('fails'), { status: 409, expose: true, message: JSON.stringify(names) })
      }),
    ],
  },
  {
    title: 'a transaction of such a role that only reads refuses to write',
    only: 'postgresql',
    work: ({ request }) =>
      request(async (ctx) => {
        const { trail } = ctx.dbSession
        const kysely = trail.getKysely().transaction().setAccessMode('read only')
        ctx.body = [
          await fails(() =>
            trail.transactional((em: any) => em.insert(Author, { name: 'refused' }), { readOnly: true }),
          ),
          await fails(() => kysely.execute((own: any) => own.insertInto('author').values({ name: 'x' }).execute())),
          await trail.transactional((em: any) => em.count(Author), { readOnly: true }),
        ]
        await trail.insert(Author, { name: 'behind it' })
      }),
  },
  {
    title: 'a failing read of a reader spoils nothing else',
    work: ({ request }) =>
      request(async (ctx) => {
        const { reader, writer } = ctx.dbSession
        await writer.insert(Author, { name: 'kept' })
        ctx.body = await fails(() => reader.execute('select nothing from nowhere'))
      }),
  },
  {
    title: 'what is written beside a read is written once, also with values that no second time would give',
    work: async ({ request }) => [
      await request(async (ctx) => {
        const { reader, writer } = ctx.dbSession
        for (let count = 0; count < 5; count++) {
          const add = () => writer.execute(`insert into token (name) values ('token') returning secret`)
          await Promise.all([reader.count(Author), add(), reader.execute('select 1'), add(), reader.find(Author, {})])
        }
        ctx.dbSession.markChanged('writer')
      }),
      await request(async (ctx) => void (ctx.body = await ctx.dbSession.reader.execute('select name from token'))),
    ],
  },
  {
    title: 'a reader cannot write, not even by a function',
    only: 'postgresql',
    work: ({ request }) =>
      request(async (ctx) => {
        const { reader, snapshot } = ctx.dbSession
        ctx.body = [
          await fails(() => reader.execute(`insert into author (name) values ('x')`)),
          await fails(() => reader.execute(`select test_write()`)),
          await fails(() => snapshot.execute(`select test_write()`)),
        ]
      }),
  },
  {
    title: 'a snapshot beside it does not keep the writer from writing',
    work: ({ request }) =>
      request(async (ctx) => {
        const { snapshot, writer } = ctx.dbSession
        const before = await snapshot.count(Author)
        await writer.insert(Author, { name: 'beside' })
        ctx.body = [before]
      }),
  },
  {
    title: 'raw SQL that nobody declared is rolled back, a plain select is not reported',
    work: async ({ request, heard }) => {
      const hear = (warning: Error & { code?: string }) => void heard.push(String(warning.code))
      process.on('warning', hear)
      await request(async (ctx) => void (await ctx.dbSession.writer.execute('select count(*) from author')))
      await request(async (ctx) => {
        await ctx.dbSession.writer.execute(`insert into author (name) values ('raw')`)
      })
      await request(async (ctx) => {
        await ctx.dbSession.writer.execute(`insert into author (name) values ('marked')`)
        ctx.dbSession.markChanged('writer')
      })
      await new Promise((resolve) => setImmediate(resolve))
      process.off('warning', hear)
      return heard.filter((code) => code.startsWith('SQLASSIST'))
    },
  },
  {
    title: 'what another role writes beside a plain select is not reported',
    work: async ({ request, registry, heard, dialect }) => {
      const hear = (warning: Error & { code?: string }) => void heard.push(String(warning.code))
      process.on('warning', hear)
      await request(async (ctx) => {
        const { writer, logger, trail } = ctx.dbSession
        await writer.execute('select count(*) from author')
        logger.create(Author, { name: 'entry' })
        await logger.flush()
        await trail.insert(Author, { name: 'at once' })
        await writer.execute('select count(*) from book')
        if (dialect === 'postgresql')
          await registry.run(({ dbSession }: any) => dbSession.writer.insert(Author, { name: 'inner' }))
      })
      if (dialect === 'postgresql')
        await request(async (ctx) => {
          const { writer, trail } = ctx.dbSession
          await trail.insert(Author, { name: 'at once' })
          await writer.execute('select test_write()')
          await trail.insert(Author, { name: 'behind it' })
        })
      await new Promise((resolve) => setImmediate(resolve))
      process.off('warning', hear)
      return heard.filter((code) => code.startsWith('SQLASSIST'))
    },
  },
  {
    title: 'a write that a function hides is reported, also one that changes no row',
    only: 'postgresql',
    work: async ({ request, heard }) => {
      const hear = (warning: Error & { code?: string }) => void heard.push(String(warning.code))
      process.on('warning', hear)
      for (const call of [
        'test_write()',
        'test_truncate()',
        'test_define()',
        'lo_from_bytea(0, $$one$$)',
        'version()',
      ]) {
        heard.push(call)
        await request(async (ctx) => void (await ctx.dbSession.writer.execute(`select ${call}`)))
        await new Promise((resolve) => setImmediate(resolve))
      }
      await new Promise((resolve) => setImmediate(resolve))
      process.off('warning', hear)
      return heard.filter((code) => code.startsWith('SQLASSIST') || code.endsWith(')'))
    },
  },
  {
    title: 'a deferred constraint fails the request',
    only: 'postgresql',
    work: async ({ request }) => [
      await request(async (ctx) => {
        await ctx.dbSession.writer.execute('insert into once (value) values (1), (1)')
        ctx.dbSession.markChanged('writer')
      }),
      await request(async (ctx) => {
        const { writer } = ctx.dbSession
        await writer.execute('insert into once (value) values (1), (1)')
        await writer.execute('update once set value = value + id where value = 1')
        ctx.dbSession.markChanged('writer')
      }),
      await request(async (ctx) => {
        ctx.body = await ctx.dbSession.reader.execute('select count(*)::int as count from once')
      }),
    ],
  },
  {
    title: 'what one transaction has still to put right fails no other one',
    only: 'postgresql',
    work: async ({ request, registry }) => {
      const beside = (ends: (writer: any) => unknown) =>
        request(async (ctx) => {
          const { writer, trail, logger } = ctx.dbSession
          await writer.execute('insert into later (value) values (1), (1)')
          ctx.dbSession.markChanged('writer')
          await trail.insert(Author, { name: 'at once' })
          await registry.run(({ dbSession }: any) => dbSession.writer.insert(Author, { name: 'inner' }))
          await logger.insert(Author, { name: 'entry' })
          await ends(writer)
          await trail.insert(Author, { name: 'behind it' })
          ctx.body = await fails(() =>
            registry.run(async ({ dbSession }: any) => {
              await dbSession.writer.execute('insert into later (value) values (7), (7)')
              dbSession.markChanged('writer')
            }),
          )
        })
      return [
        await beside((writer) => writer.execute('delete from later')),
        await beside(() => Promise.reject(new Error('fails'))),
      ]
    },
  },
  {
    title: 'what a transaction above has still to put right does not fail the one beneath, which commits before it',
    only: 'postgresql',
    work: async ({ request, registry, heard }) => {
      const twice = (value: number) => `insert into later (value) values (${value}), (${value})`
      heard.push(
        await fails(() =>
          registry.run(async ({ dbSession: { writer, logger } }: any) => {
            await writer.insert(Author, { name: 'stored' })
            await logger.execute(twice(11))
            logger.create(Author, { name: 'refused' })
            await logger.flush()
            await writer.insert(Author, { name: 'stored as well' })
          }),
        ),
      )
      await request(async (ctx) => {
        const { writer, logger } = ctx.dbSession
        await writer.insert(Author, { name: 'before' })
        await logger.execute(twice(12))
        await logger.insert(Author, { name: 'entry' })
        await writer.insert(Author, { name: 'behind it' })
        await ctx.txn.commit()
        await logger.execute('delete from later where value = 12')
        await writer.execute(twice(13))
        ctx.dbSession.markChanged('writer')
        heard.push(await fails(() => ctx.txn.commit()))
      })
      return heard
    },
  },
  {
    title: 'savepoints are refused where a role commits each statement',
    work: ({ request, heard, dialect }) =>
      request(async (ctx) => {
        const { trail } = ctx.dbSession
        const add = (name: string) => `insert into author (name) values ('${name}')`
        const several = dialect === 'sqlite' ? [] : [`${add('undone')}; savepoint a; ${add('x')}`]
        for (const sql of ['savepoint a', 'release a', 'rollback to a', ...several])
          heard.push(await fails(() => trail.execute(sql)))
        await trail.insert(Author, { name: 'next' })
        ctx.body = heard
      }),
  },
  {
    title: 'a savepoint is not released behind an error, also where another transaction has set one since',
    only: 'postgresql',
    work: ({ request, registry }) =>
      request(async (ctx) => {
        const { writer, logger } = ctx.dbSession
        await writer.insert(Author, { name: 'beneath' })
        await logger.execute('savepoint own')
        await ctx.txn.savepoint()
        await fails(() => logger.insert(Book, { title: null }))
        await logger.execute('release own')
        await registry.run(({ dbSession }: any) => dbSession.writer.insert(Author, { name: 'inner' }))
      }),
  },
  {
    title: 'what a deferred trigger has written stays, where a transaction around it is rolled back',
    only: 'postgresql',
    work: async ({ request, registry, rows }) => {
      await request(async (ctx) => {
        await ctx.dbSession.writer.insert(Author, { name: 'undone' })
        await registry.run(({ dbSession }: any) => dbSession.writer.insert(Book, { title: 'kept' }))
        throw new Error('fails')
      })
      const before = await rows()
      await request(async (ctx) => void (await ctx.dbSession.writer.insert(Author, { name: 'next' })))
      return before
    },
  },
  {
    title: 'a constraint that a transaction has made itself is checked at its end',
    work: async ({ request, dialect }) => {
      const table =
        dialect === 'postgresql'
          ? '(value int unique deferrable initially deferred)'
          : '(value int references author (id) deferrable initially deferred)'
      const change = (...statements: string[]) =>
        request(async (ctx) => {
          await ctx.dbSession.writer.insert(Author, { name: 'one' })
          for (const sql of statements) await ctx.dbSession.writer.execute(sql)
          ctx.dbSession.markChanged('writer')
        })
      const add = 'insert into made (value) values (77), (77)'
      return [
        await change('select 1'),
        await change(`/* new */ create table made ${table}`, add),
        await change(`/* new */ create table made ${table}`),
        await change(add),
        await change('/* old */ drop table made'),
      ].map(({ status }) => status)
    },
  },
  {
    title: 'a constraint that is checked at once, and may be deferred, is checked at once in each request',
    only: 'postgresql',
    work: async ({ request }) => {
      const twice = (sql: string) => async (ctx: any) => {
        const { writer } = ctx.dbSession
        await writer.execute(sql)
        ctx.body = await fails(() => writer.execute('insert into soon (value) values (1), (1)'))
        await ctx.txn.abort()
      }
      return [
        await request(twice('set constraints all immediate')),
        await request(twice('set constraints soon_key deferred')),
        await request(async (ctx) => void (await ctx.dbSession.writer.insert(Author, { name: 'between' }))),
        await request(twice('select 1')),
      ]
    },
  },
  {
    title: 'three attempts, with a log entry each',
    work: async ({ request, heard }) =>
      await request(
        async (ctx) => {
          const { writer, logger } = ctx.dbSession
          writer.create(Author, { name: 'article' })
          await writer.flush()
          logger.create(Author, { name: `attempt ${heard.length}` })
          await logger.flush()
          heard.push('attempt')
          if (heard.length < 3) throw Object.assign(new Error('again'), { code: '40001' })
          ctx.body = 'done'
        },
        { attempts: 3 },
      ),
  },
  {
    title: 'a session outside of requests commits and rolls back by hand',
    work: async ({ registry }) => {
      const em: any = registry.session('writer')
      await em.insert(Author, { name: 'by hand' })
      await em.commit()
      await em.insert(Author, { name: 'undone' })
      await em.rollback()
      await em.close()
    },
  },
  {
    title: 'twenty requests at the same time',
    work: async ({ request }) => {
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          request(async (ctx) => void (await ctx.dbSession.writer.insert(Author, { name: `parallel ${index}` }))),
        ),
      )
      return answers.map(({ status }) => status)
    },
  },
  {
    title: 'a veto rolls back',
    work: ({ request }) =>
      request(async (ctx) => void (await ctx.dbSession.writer.insert(Author, { name: 'vetoed' })), {
        commitVeto: () => true,
      }),
  },
  {
    title: 'a doomed run stores nothing',
    work: ({ registry }) =>
      registry.run(async ({ dbSession, txn }: any) => {
        txn.doom()
        await dbSession.writer.insert(Author, { name: 'doomed' })
        return dbSession.writer.count(Author)
      }),
  },
  {
    title: 'a stream of a joined session gives all rows',
    work: ({ request }) =>
      request(async (ctx) => {
        const { writer } = ctx.dbSession
        for (let index = 0; index < 5; index++) await writer.insert(Author, { name: `row ${index}` })
        const names: string[] = []
        for await (const author of writer.stream(Author, { orderBy: { id: 'asc' } })) names.push(author.name)
        ctx.body = names
      }),
  },
]

/** What the order of requests decides, and not the sandbox. */
const withoutIds = (rows: Record<string, unknown[]>) =>
  Object.fromEntries(
    Object.entries(rows).map(([table, list]) => [
      table,
      list.map((row: any) => ({ ...row, id: undefined })).toSorted(byName),
    ]),
  )
const byName = (one: any, other: any) => String(one.name).localeCompare(String(other.name))

for (const dialect of DIALECTS) {
  const test = suite<{ sandbox: TwinSide; real: TwinSide }>(`testing as in production, ${dialect}`)

  test.before(async (world) => {
    world.sandbox = await TwinSide.open(dialect, { sequences: 'restore', readAhead: 'allow' })
    world.real = await TwinSide.open(dialect)
    const secret = dialect === 'postgresql' ? 'uuid default gen_random_uuid()' : 'default (random())'
    for (const { looks } of [world.sandbox, world.real])
      await looks[0]!.rows(`create table token (name text, secret ${secret})`)
    if (dialect === 'postgresql') {
      for (const { looks } of [world.sandbox, world.real]) {
        await looks[0]!.rows(
          'create table once (id serial primary key, value int unique deferrable initially deferred)',
        )
        await looks[0]!.rows('create table later (value int unique deferrable initially deferred)')
        await looks[0]!.rows(
          `create function note_book() returns trigger language plpgsql as $$
          begin insert into author (name) values ('writer of ' || new.title); return null; end $$`,
        )
        await looks[0]!.rows(
          'create constraint trigger note_book after insert on book deferrable initially deferred for each row execute function note_book()',
        )
        // A deferred one and one that cannot be deferred may have one name.
        await looks[0]!.rows('create table unlike (value int constraint once_value_key check (value > 0))')
        await looks[0]!.rows('create table soon (value int constraint soon_key unique deferrable initially immediate)')
        await looks[0]!.rows(
          `create function test_write() returns int language sql as $$ insert into author (name) values ('hidden') returning 1 $$`,
        )
        await looks[0]!.rows(
          'create function test_truncate() returns void language plpgsql as $$ begin truncate token; end $$',
        )
        await looks[0]!.rows(
          `create function test_define() returns void language plpgsql as $$ begin comment on table token is 'one'; end $$`,
        )
      }
    }
  })
  test.before.each(async ({ sandbox, real }) => {
    await sandbox.clear()
    await real.clear()
    await sandbox.sandbox!.begin()
  })
  test.after.each(async ({ sandbox }) => {
    await sandbox.sandbox!.rollback()
    assert.equal(await sandbox.stored(), 0)
  })
  test.after(async ({ sandbox, real }) => {
    await sandbox.close()
    await real.close()
  })

  for (const { title, only, work } of CASES) {
    if (only !== undefined && only !== dialect) continue
    test(title, async ({ sandbox, real }) => {
      const expected = [await work(bound(real)), await real.rows()]
      const found = [await work(bound(sandbox)), await sandbox.rows()]
      if (title.includes('same time')) {
        assert.deepEqual(found[0], expected[0])
        assert.deepEqual(withoutIds(found[1] as never), withoutIds(expected[1] as never))
      } else assert.deepEqual(found, expected)
      assert.notDeepEqual(expected, [undefined, {}])
    })
  }
  test.run()
}

function bound(side: TwinSide): TwinWorld {
  return {
    dialect: side.dialect,
    registry: side.registry,
    isSandbox: side.isSandbox,
    heard: side.heard,
    request: (...args) => side.request(...args),
    rows: () => side.rows(),
  }
}
