/** The floor on SQLite: better-sqlite3 without an ORM, with prepared statements. */
import Sqlite from 'better-sqlite3'
import { FAILURE } from '../works.ts'
import type { OpenServer } from './bench-server.ts'

interface Row {
  readonly id: number
  readonly title: string
  views: number
}

export const open: OpenServer = async ({ main }) => {
  const database = new Sqlite(main)
  const select = database.prepare<[string], Row>('select id, title, views from article where id = ?')
  const update = database.prepare<[number, number]>('update article set views = ? where id = ?')
  const insert = database.prepare<[string]>('insert into note (label) values (?) returning id, label')
  const read = database.transaction((id: string) => select.get(id))
  const write = database.transaction((label: string) => insert.get(label))
  const view = database.transaction((id: string) => {
    const article = select.get(id)!
    article.views += 1
    update.run(article.views, article.id)
    return article
  })
  const fail = database.transaction((label: string, refuse: () => never) => {
    insert.get(label)
    refuse()
  })
  return {
    middleware: [],
    handlers: {
      read: (_, id) => select.get(id),
      'read-in-transaction': (_, id) => read(id),
      write: (_, label) => write.immediate(label),
      'read-write': (_, id) => view.immediate(id),
      fail: (ctx, label) => fail.immediate(label, () => ctx.throw(409, FAILURE)),
    },
    close: async () => void database.close(),
  }
}
