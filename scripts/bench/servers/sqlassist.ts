/** This library: a reader, a writer and, where there is a second database, another writer. */
import type * as Library from 'koa-sqlassist'
import { FAILURE } from '../works.ts'
import { Article, Note } from '../entities.ts'
import { openOrm } from '../open-orm.ts'
import type { OpenServer } from './bench-server.ts'

/**
 * `writer`: options of the writing roles. `library`: the entry of another build. `recover: false`: nothing is looked for at
 * the start, whose statements would be taken for those of a request. `hasReplica`: the reader reads from a replica.
 */
export const open: OpenServer = async (
  { main, other },
  { writer: options = {}, library = 'koa-sqlassist', recover, hasReplica = false },
) => {
  const { dbSessions, EngineRegistry } = (await import(String(library))) as typeof Library
  const replicas = hasReplica === true ? [{ clientUrl: main }] : []
  const [reader, writer] = [await openOrm(main, 'reader', { replicas }), await openOrm(main, 'writer')]
  const otherOrm = other === undefined ? undefined : await openOrm(other, 'other')
  const engines = {
    reader: { orm: reader, readOnly: true, ...(hasReplica === true && { replicaOf: 'writer' }) },
    writer: { orm: writer, ...(options as object) },
    ...(otherOrm && { other: { orm: otherOrm, ...(options as object) } }),
  }
  return {
    middleware: [dbSessions(recover === false ? new EngineRegistry(engines, { recover }) : engines)],
    handlers: {
      none: () => ({ ok: true }),
      read: (ctx, id) => ctx.dbSession.reader.findOneOrFail(Article, Number(id)),
      'read-in-transaction': (ctx, id) => ctx.dbSession.writer.findOneOrFail(Article, Number(id)),
      write(ctx, label) {
        const em = ctx.dbSession.writer
        const note = em.create(Note, { label })
        em.persist(note)
        return note
      },
      async 'read-write'(ctx, id) {
        const article = await ctx.dbSession.writer.findOneOrFail(Article, Number(id))
        article.views += 1
        return article
      },
      two(ctx, label) {
        const { writer: em, other: otherEm } = ctx.dbSession
        const note = em.create(Note, { label })
        em.persist(note)
        otherEm.persist(otherEm.create(Note, { label }))
        return note
      },
      async fail(ctx, label) {
        const em = ctx.dbSession.writer
        em.persist(em.create(Note, { label }))
        await em.flush()
        ctx.throw(409, FAILURE)
      },
    },
    async close() {
      await reader.close()
      await writer.close()
      await otherOrm?.close()
    },
  }
}
