/** Each heading of docs/troubleshooting.md is a message that the code really has; here is what brings it up. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import Koa from 'koa'
import * as assert from 'uvu/assert'
import {
  dbSessions,
  EngineRegistry,
  markChanged,
  type DbSessionsContainer,
  type RunContext,
} from '../../source/index.ts'
import { Author } from '../support/entities.ts'
import { serve } from '../support/http.ts'
import { newDatabase, openOrm, type TestOrm } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { root } from '../support/stranger.ts'
import { suite } from '../support/suite.ts'
import { warnings } from '../support/warnings.ts'

const test = suite('docs/troubleshooting.md')
const page = readFileSync(join(root, 'docs/troubleshooting.md'), 'utf8')
const headings = [...page.matchAll(/^## (.*)$/gm)].map(([, heading = '']) => heading)

let reader: TestOrm
let writer: TestOrm
let logger: TestOrm
let postgres: TestOrm

test.before(async () => {
  const file = await newDatabase('sqlite')
  reader = await openOrm(file)
  writer = await openOrm(file)
  logger = await openOrm(file)
  await writer.em.fork().insert(Author, { name: 'stored' })
  postgres = await openOrm(await newDatabase('postgresql'))
})
test.after(async () => {
  for (const orm of [reader, writer, logger, postgres]) await orm.close()
})

type Roles = { reader: { orm: TestOrm; readOnly: true }; writer: TestOrm }
type Work = (context: RunContext<Roles, DbSessionsContainer<Roles>>) => unknown

const run = async (work: Work): Promise<void> => {
  const registry = new EngineRegistry<Roles>({ reader: { orm: reader, readOnly: true }, writer })
  await registry.run(async (context) => void (await work(context)))
}
const thrown = async (work: Work): Promise<string> => (await rejection(run(work))).message
const messageOf = async (call: () => unknown): Promise<string> => (await rejection(Promise.try(call))).message
const start = (engines: object, options = {}): Promise<string> =>
  messageOf(() => dbSessions(engines as { writer: TestOrm }, options))
const warned = async (code: string, work: () => Promise<void>): Promise<string> =>
  (await warnings(code, work))[0]?.message ?? 'nobody warned'

/** By the beginning of a heading: what brings the message up, and gives it. */
const triggers: Readonly<Record<string, () => Promise<string>>> = {
  'A statement of role "writer" in': () =>
    thrown(async ({ dbSession }) => {
      await dbSession.writer.insert(Author, { name: 'outer' })
      await run((inner) => inner.dbSession.writer.insert(Author, { name: 'inner' }))
    }),
  'Raw SQL of role': () =>
    warned('SQLASSIST_UNMARKED_WRITE', () =>
      run(({ dbSession }) => dbSession.writer.execute(`insert into author (name) values ('raw')`)),
    ),
  'The response to GET /': async () => {
    const told = Promise.withResolvers<Error>()
    const answered = Promise.withResolvers<void>()
    const app = new Koa()
    app.on('error', told.resolve)
    app.use((ctx, next) => {
      void next()
      ctx.body = 'too early'
    })
    app.use(dbSessions({ writer }))
    app.use(() => answered.promise)
    const served = await serve(app)
    let message = ''
    await warnings('SQLASSIST_ANSWERED_TOO_EARLY', async () => {
      await served.request('GET', '/')
      answered.resolve()
      message = (await told.promise).message
    })
    await served.close()
    return message
  },
  'The session of role "writer" was used': async () => {
    let kept: TestOrm['em'] | undefined
    await run(({ dbSession }) => void (kept = dbSession.writer))
    return (await rejection(kept?.count(Author) ?? Promise.resolve())).message
  },
  'em.commit()': () => thrown(({ dbSession }) => dbSession.writer.commit()),
  'A statement or a flush of role': async () => {
    const registry = new EngineRegistry({ writer: postgres })
    const error = await rejection(
      registry.run(async ({ dbSession }) => {
        dbSession.writer.create(Author, { name: 'lost' })
        await dbSession.writer.flush()
        await dbSession.writer.execute('select 1 / 0').catch(() => undefined)
      }),
    )
    return error.message
  },
  'This entity manager is no session': () => messageOf(() => markChanged(writer.em)),
  'em.fork(), which Seeder.call()': () => thrown(({ dbSession }) => dbSession.writer.fork()),
  'em.persist()': () =>
    thrown(async ({ dbSession }) => {
      dbSession.writer.persist(await dbSession.reader.findOneOrFail(Author, { name: 'stored' }))
    }),
  'The role "reader" is read only': () => thrown(({ dbSession }) => dbSession.reader.nativeDelete(Author, {})),
  'No transaction is begun': () =>
    thrown(async ({ txn, tm }) => {
      await txn.commit()
      tm.get()
    }),
  'commit: refused': () =>
    thrown(async ({ txn }) => {
      const held = Promise.withResolvers<void>()
      txn.addBeforeCommitHook(() => held.promise)
      const forgotten = txn.commit()
      const error = await rejection(txn.commit())
      held.resolve()
      await forgotten
      throw error
    }),
  'attempts is 3': () => start({ writer }, { attempts: 3 }),
  'A commit that changes more than one': () =>
    warned('SQLASSIST_NOT_ATOMIC', async () => {
      const registry = new EngineRegistry({ writer, logger })
      await registry.run(({ dbSession }) => dbSession.writer.count(Author))
    }),
  'The roles "writer" and "logger"': () =>
    warned('SQLASSIST_SHARED_SQLITE_FILE', async () => void new EngineRegistry({ writer, logger })),
  'The roles "reader" and "writer" have': () => start({ reader: writer, writer }),
}

for (const heading of headings) {
  test(heading, async () => {
    const [trigger] = Object.entries(triggers).filter(([beginning]) => heading.startsWith(beginning))
    assert.ok(trigger, 'nothing brings it up')
    const message = await trigger[1]()
    const pattern = heading
      .split('…')
      .map((part) => part.replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&'))
      .join('.*')
    assert.match(message, new RegExp(`^${pattern}$`, 's'))
  })
}

test('nothing here is left over', () => {
  const unused = Object.keys(triggers).filter((beginning) => !headings.some((heading) => heading.startsWith(beginning)))
  assert.equal(unused, [])
  assert.is(headings.length, Object.keys(triggers).length)
})

test.run()
