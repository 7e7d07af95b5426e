/** The same, of PostgreSQL: `DATABASE_URL` is a database of the test run. */
import process from 'node:process'
import { MikroORM } from '@mikro-orm/postgresql'
import { Article, LogEntry } from './prelude.ts'

export const shopOrm = await MikroORM.init({
  entities: [Article, LogEntry],
  clientUrl: process.env['DATABASE_URL'] ?? '',
})
await shopOrm.schema.update()
export const shopReaderOrm = await MikroORM.init({
  entities: [Article, LogEntry],
  clientUrl: process.env['DATABASE_URL'] ?? '',
  replicas: [{ clientUrl: process.env['DATABASE_URL'] ?? '' }],
})
