/** This library with as many roles as asked for, of which a request uses at most one. */
import { dbSessions } from 'koa-sqlassist'
import { Article } from '../entities.ts'
import { openOrm } from '../open-orm.ts'
import type { OpenServer } from './bench-server.ts'

/** `roles`: how many. */
export const open: OpenServer = async ({ main }, { roles }) => {
  const names = ['reader', 'writer', ...Array.from({ length: Number(roles) - 2 }, (_, index) => `role${index + 3}`)]
  const orms = await Promise.all(names.map((name) => openOrm(main, name)))
  const engines = Object.fromEntries(
    names.map((name, index) => [name, { orm: orms[index]!, readOnly: name !== 'writer' }]),
  )
  return {
    middleware: [dbSessions(engines)],
    handlers: {
      none: () => ({ ok: true }),
      read: (ctx, id) => ctx.dbSession.reader.findOneOrFail(Article, Number(id)),
    },
    async close() {
      for (const orm of orms) await orm.close()
    },
  }
}
