import { prepareTemplate } from 'koa-sqlassist/testing'
import { migrate, openOrm } from './shop.js'

export default async function globalSetup() {
  const url = process.env.DATABASE_URL ?? 'postgresql://localhost/shop'
  const orm = await openOrm(url)
  const key = await orm.schema.getCreateSchemaSQL() // another text whenever the template has to be another one
  await orm.close()
  const template = await prepareTemplate({ url, key, migrate }) // migrate(url) builds it, in an empty database
  process.env.TEST_TEMPLATE = JSON.stringify(template) // the workers inherit it
}
