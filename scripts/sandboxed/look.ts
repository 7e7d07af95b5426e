import type { SqlEntityManager } from '@mikro-orm/sql'
import { Cancelling } from '../../source/database/cancelling.ts'
import type { Engine } from '../../source/role/engine.ts'
import { secondLook as unchanged, withValue, type Row, type SecondLook } from '../../tests/support/second-look.ts'
import { holderOf } from './registry.ts'

export * from '../../tests/support/second-look.ts'

const READS = /^\s*(?:select (?!setval)|pragma|explain|show)/i

/** Looks through the sandbox that has that database; where none has it, at the database itself. */
export async function secondLook(target: string): Promise<SecondLook> {
  const outside = await unchanged(target)
  const name = target.includes('://') ? new URL(target).pathname.slice(1) : target
  let isClosed = false
  return withValue({
    async rows(sql, ...values) {
      const holder = holderOf(name)
      if (holder === undefined) return await outside.rows(sql, ...values)
      const rows = await inside(holder.engine, sql, values)
      // The fixtures of a test are there before the registry that it makes.
      if (!READS.test(sql)) {
        holder.registry.fixtures.push(async () => {
          if (!isClosed) await outside.rows(sql, ...values)
        })
      }
      return rows
    },
    async close() {
      isClosed = true
      await outside.close()
    },
  })
}

/** In a transaction of its own, that is no unit of work's. */
async function inside({ database, options }: Engine, sql: string, values: unknown[]): Promise<Row[]> {
  const em = options.orm.em.fork({ disableContextResolution: true }) as SqlEntityManager
  const connection = await database.begin({}, em, {}, { cancelling: new Cancelling() })
  try {
    const { rows } = await connection.execute(sql, values)
    const answer = await connection.commit()
    if ('error' in answer) throw answer.error
    return rows as Row[]
  } finally {
    await connection.release()
  }
}
