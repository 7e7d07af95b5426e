/** MikroORM as a careful developer uses it without help: a fork for each request, `em.transactional` where it writes. */
import { FAILURE } from '../works.ts'
import { Article, Note } from '../entities.ts'
import { openOrm } from '../open-orm.ts'
import type { OpenServer } from './bench-server.ts'

export const open: OpenServer = async ({ main, other }) => {
  const orm = await openOrm(main, 'main')
  const otherOrm = other === undefined ? undefined : await openOrm(other, 'other')
  return {
    middleware: [],
    handlers: {
      read: (_, id) => orm.em.fork().findOneOrFail(Article, Number(id)),
      'read-in-transaction': (_, id) => orm.em.fork().transactional((em) => em.findOneOrFail(Article, Number(id))),
      write: (_, label) =>
        orm.em.fork().transactional(async (em) => {
          const note = em.create(Note, { label })
          em.persist(note)
          return note
        }),
      'read-write': (_, id) =>
        orm.em.fork().transactional(async (em) => {
          const article = await em.findOneOrFail(Article, Number(id))
          article.views += 1
          return article
        }),
      // Nested, so that an error in either rolls back both; a COMMIT that fails after the inner one still leaves half.
      two: (_, label) =>
        orm.em.fork().transactional(async (em) => {
          const note = em.create(Note, { label })
          em.persist(note)
          await otherOrm!.em.fork().transactional(async (otherEm) => {
            otherEm.persist(otherEm.create(Note, { label }))
          })
          return note
        }),
      fail: (ctx, label) =>
        orm.em.fork().transactional(async (em) => {
          em.persist(em.create(Note, { label }))
          await em.flush()
          ctx.throw(409, FAILURE)
        }),
    },
    async close() {
      await orm.close()
      await otherOrm?.close()
    },
  }
}
