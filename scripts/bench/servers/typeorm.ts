/** TypeORM with typeorm-transactional. Not on SQLite: TypeORM has one connection there, and requests share its transaction. */
import { DataSource, EntitySchema } from 'typeorm'
import { addTransactionalDataSource, initializeTransactionalContext, runInTransaction } from 'typeorm-transactional'
import { POOL } from '../databases.ts'
import { FAILURE } from '../works.ts'
import type { OpenServer } from './bench-server.ts'

const Article = new EntitySchema<{ id: number; title: string; views: number }>({
  name: 'article',
  columns: { id: { type: 'int', primary: true, generated: true }, title: { type: String }, views: { type: 'int' } },
})
const Note = new EntitySchema<{ id: number; label: string }>({
  name: 'note',
  columns: { id: { type: 'int', primary: true, generated: true }, label: { type: String } },
})

export const open: OpenServer = async ({ main, other }) => {
  initializeTransactionalContext()
  const [source, otherSource] = await Promise.all([openSource('main', main), openSource('other', other!)])
  const [articles, notes] = [source.getRepository(Article), source.getRepository(Note)]
  const otherNotes = otherSource.getRepository(Note)
  const inMain = <T>(work: () => Promise<T>): Promise<T> => runInTransaction(work, { connectionName: 'main' })
  return {
    middleware: [],
    handlers: {
      read: (_, id) => articles.findOneByOrFail({ id: Number(id) }),
      'read-in-transaction': (_, id) => inMain(() => articles.findOneByOrFail({ id: Number(id) })),
      write: (_, label) => inMain(() => notes.save(notes.create({ label }))),
      'read-write': (_, id) =>
        inMain(async () => {
          const article = await articles.findOneByOrFail({ id: Number(id) })
          article.views += 1
          return await articles.save(article)
        }),
      two: (_, label) =>
        inMain(async () => {
          const note = await notes.save(notes.create({ label }))
          await runInTransaction(() => otherNotes.save(otherNotes.create({ label })), { connectionName: 'other' })
          return note
        }),
      fail: (ctx, label) =>
        inMain(async () => {
          await notes.save(notes.create({ label }))
          ctx.throw(409, FAILURE)
        }),
    },
    async close() {
      await source.destroy()
      await otherSource.destroy()
    },
  }
}

async function openSource(name: string, url: string): Promise<DataSource> {
  const source = new DataSource({
    type: 'postgres',
    url,
    poolSize: POOL,
    extra: { min: POOL },
    entities: [Article, Note],
  })
  return await addTransactionalDataSource({ name, dataSource: source }).initialize()
}
