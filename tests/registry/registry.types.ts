/** What the types of registry and container refuse and allow; the type check is the test. */
import type Koa from 'koa'
import Router from '@koa/router'
import type { EntityManager as PostgresEntityManager, MikroORM as PostgresOrm } from '@mikro-orm/postgresql'
import type { EntityManager as SqliteEntityManager, MikroORM as SqliteOrm } from '@mikro-orm/sqlite'
import { dbSessions, DbSessionsContainer, EngineRegistry, type DbSessionsContext } from '../../source/index.ts'

declare const postgres: PostgresOrm
declare const sqlite: SqliteOrm

const engines = {
  reader: { orm: postgres, readOnly: true },
  writer: postgres,
  analytics: { orm: sqlite, commit: 'autonomous' },
} as const

export function requests(app: Koa): void {
  app.use(dbSessions(engines))
  const router = new Router<Koa.DefaultState, DbSessionsContext<typeof engines>>()
  router.get('/', (ctx) => {
    const analytics: SqliteEntityManager = ctx.dbSession.analytics
    const reader: PostgresEntityManager = ctx.dbSession.getReader()
    const byName: SqliteEntityManager = ctx.dbSession.get('analytics')
    const byDefault: PostgresEntityManager | SqliteEntityManager = ctx.dbSession.get('!default')
    ctx.dbSession.markChanged('writer')
    // @ts-expect-error there is no such role
    void ctx.dbSession.analytic
    // @ts-expect-error there is no such role
    ctx.dbSession.get('analytic')
    // @ts-expect-error there is no such role
    ctx.dbSession.markChanged('audit')
    // @ts-expect-error there is no role of that name
    ctx.dbSession.getLogger()
    // @ts-expect-error it is SQLite's
    const wrong: PostgresEntityManager = ctx.dbSession.analytics
    // @ts-expect-error sessions are not put there
    ctx.dbSession.writer = reader
    const status: 'INIT' | 'START' | 'END' = ctx.dbSession.status.analytics
    // @ts-expect-error there is no such role
    void ctx.dbSession.status.audit
    void [analytics, byName, byDefault, wrong, status]
  })
}

export async function registries(): Promise<void> {
  const registry = new EngineRegistry(engines)
  const orm: SqliteOrm = registry.get('analytics')
  const any: PostgresOrm | SqliteOrm = registry.get('!default')
  await registry.reinit('analytics')
  await registry.dispose('!all')
  // @ts-expect-error there is no such role
  registry.get('analytic')
  // @ts-expect-error there is no such role
  await registry.reinit('analytic')
  // @ts-expect-error there is no such role
  registry.session('analytic')
  // @ts-expect-error a session is of one role
  registry.session('!all')
  // @ts-expect-error there is no such option
  void new EngineRegistry(engines, { atomik: 'required' })
  const length: number = await registry.run(({ dbSession }) => dbSession.analytics.name.length)
  // @ts-expect-error there is no such role
  await registry.run(({ dbSession }) => dbSession.audit)
  void [orm, any, length]
}

class Sessions extends DbSessionsContainer<typeof engines> {
  get everything(): readonly [PostgresEntityManager, SqliteEntityManager] {
    // @ts-expect-error there is no such role
    void this.audit
    return [this.writer, this.analytics]
  }
}

export async function containerClass(app: Koa): Promise<void> {
  const registry = new EngineRegistry(engines, { containerClass: Sessions })
  await registry.run(({ dbSession }) => dbSession.everything)
  app.use(dbSessions(registry)).use((ctx) => {
    const [writer]: readonly [PostgresEntityManager, SqliteEntityManager] = ctx.dbSession.everything
    // @ts-expect-error there is no such member
    void ctx.dbSession.nothing
    void writer
  })
  // @ts-expect-error it does not extend the container
  void new EngineRegistry(engines, { containerClass: 'Sessions' })
}
