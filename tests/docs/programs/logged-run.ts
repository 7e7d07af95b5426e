/** What docs/tracing.md shows the debug log of: `node logged-run.ts DATABASE_URL`. Then one run that fails and is run again. */
import process from 'node:process'
import { defineEntity, p } from '@mikro-orm/core'
import { MikroORM } from '@mikro-orm/postgresql'
import { EngineRegistry, TransientError } from '../../../source/index.ts'

const Article = defineEntity({ name: 'Article', properties: { id: p.integer().primary(), title: p.string() } })
const orm = await MikroORM.init({ entities: [Article], clientUrl: process.argv[2] ?? '' })
await orm.schema.update()

const registry = new EngineRegistry({ writer: orm })
await registry.run(({ dbSession }) => void dbSession.writer.create(Article, { title: 'Notes' }), {
  name: 'POST /articles',
})
let runs = 0
await registry.run(
  async ({ dbSession }) => {
    await dbSession.writer.execute('select 1')
    if (++runs === 1) throw new TransientError('not yet')
  },
  { name: 'again', attempts: 2 },
)
await registry.close()
