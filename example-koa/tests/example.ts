/**
 * The example application on a database of its own. Its tests run in a sandbox, and what it has committed is read there; those of
 * what a sandbox cannot show commit for real, and a second connection sees what is stored.
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import type Koa from 'koa'
import type { Middleware } from 'koa'
import type { DbSessionsOptions } from 'koa-sqlassist'
import { createSandbox, type Sandbox } from 'koa-sqlassist/testing'
import type pg from 'pg'
import { serve, type Reply, type Served } from '../../tests/support/http.ts'
import { poolIdle } from '../../tests/support/leaks.ts'
import { DIALECTS, type Dialect } from '../../tests/support/orms.ts'
import { createDatabase } from '../../tests/support/postgres.ts'
import { secondLook, withValue, type Row, type SecondLook } from '../../tests/support/second-look.ts'
import { temporaryFolder } from '../../tests/support/sqlite.ts'
import { suite, type Test } from '../../tests/support/suite.ts'
import { createApp } from '../app.ts'
import type { Config } from '../config.ts'
import type { AppContext } from '../context.ts'

export interface Example {
  readonly served: Served
  /** Sees the content: users, articles, comments. */
  readonly look: SecondLook
  readonly auditLook: SecondLook
  /** The slugs of `published` events. */
  readonly published: string[]
  /** Undefined where everything is committed for real. */
  readonly sandbox: Sandbox | undefined
  request(method: string, path: string, options?: { token?: string | undefined; body?: unknown }): Promise<Reply>
  /** Registers a user of that name; its token. */
  register(username: string): Promise<string>
  /** Creates an article; its slug. */
  publish(token: string, article?: Record<string, unknown>): Promise<string>
  close(): Promise<void>
}

export interface ExampleOptions extends Pick<DbSessionsOptions, 'disableTransaction'>, Pick<Config, 'debugPanel'> {
  /** Whether it runs in a sandbox: whether nothing that the tests commit is stored. */
  readonly sandboxed?: boolean
  /** A way to the PostgreSQL database that is not its own url, such as a recording proxy. */
  readonly via?: (databaseUrl: string) => Promise<string>
  /** Routes of the test's own, inside of dbSessions. */
  readonly route?: Middleware<Koa.DefaultState, AppContext>
}

export async function openExample(
  dialect: Dialect,
  { sandboxed = false, via, route, debugPanel = false, ...options }: ExampleOptions = {},
): Promise<Example> {
  const dataDirectory = await mkdtemp(join(temporaryFolder(), 'example-'))
  const database = dialect === 'postgresql' ? await createDatabase('example') : undefined
  const databaseUrl = database && via ? await via(database) : database
  const { app, registry, close } = await createApp(
    // Hundreds of users are registered in these tests, and nobody will ever try to guess their passwords.
    { databaseUrl, dataDirectory, tokenSecret: randomBytes(32), passwordCost: 2 ** 8, debugPanel },
    options,
  )
  if (route) app.use(route)
  const published: string[] = []
  app.on('published', (slug: string) => published.push(slug))
  const served = await serve(app)
  const sandbox = sandboxed ? await createSandbox(registry) : undefined
  const read =
    (role: 'writer' | 'logger') =>
    (sql: string): Promise<Row[]> =>
      registry.run(({ dbSession }) => {
        // Such as an index that a test makes.
        dbSession.markChanged(role)
        return dbSession[role].execute(sql)
      })
  const open = async (role: 'writer' | 'logger', file: string): Promise<SecondLook> =>
    sandboxed
      ? withValue({ rows: read(role), close: async () => {} })
      : await secondLook(database ?? join(dataDirectory, file))
  const look = await open('writer', 'content.sqlite')
  const auditLook = await open('logger', 'audit.sqlite')

  const request: Example['request'] = (method, path, { token, body } = {}) =>
    served.request(method, path, { body, headers: token === undefined ? {} : { authorization: `Token ${token}` } })

  return {
    served,
    look,
    auditLook,
    published,
    sandbox,
    request,
    async register(username) {
      const user = { username, email: `${username.slice(0, 700)}@example.org`, password: `${username}'s secret` }
      const reply = await request('POST', '/api/users', { body: { user } })
      return expected(reply, 201).json().user.token
    },
    async publish(token, article) {
      const body = { article: { title: 'A title', description: 'What it is about', body: 'The text', ...article } }
      return expected(await request('POST', '/api/articles', { token, body }), 201).json().article.slug
    },
    async close() {
      await served.close()
      await sandbox?.close()
      if (database) {
        for (const orm of [registry.get('reader'), registry.get('writer'), registry.get('logger')]) {
          await poolIdle((await orm.driver.getConnection().getNativeClient()) as pg.Pool)
        }
      }
      await close()
      await look.close()
      await auditLook.close()
    },
  }
}

/** The same suite on both databases, with transactions and without: the routes must not know the difference. */
export function onEveryDatabase(
  name: string,
  define: (test: Test, example: () => Example, disableTransaction: boolean) => void,
  { sandboxed = true, ...options }: ExampleOptions = {},
): void {
  for (const dialect of DIALECTS) {
    for (const disableTransaction of [false, true]) {
      const test = suite(`${name}, on ${dialect}${disableTransaction ? ' with transactions disabled' : ''}`)
      let opened: Example | undefined
      test.before(async () => {
        opened = await openExample(dialect, { ...options, sandboxed, disableTransaction })
        await opened.sandbox?.begin()
      })
      test.before.each(async () => await opened!.sandbox?.begin())
      test.after.each(async () => await opened!.sandbox?.rollback())
      test.after(async () => {
        await opened?.close()
      })
      define(test, () => opened!, disableTransaction)
      test.run()
    }
  }
}

/** The reply, if it has that status. */
export function expected(reply: Reply, status: number): Reply {
  if (reply.status !== status) throw new Error(`answered ${reply.status} instead of ${status}: ${reply.text}`)
  return reply
}
