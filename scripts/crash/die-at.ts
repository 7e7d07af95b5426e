import process from 'node:process'
import Database from 'better-sqlite3'
import type { Death } from './messages.ts'
import { stepOf } from './steps.ts'

/** From now on, at such a statement of a SQLite handle, this process is killed, before or after SQLite has carried it out. */
export function dieAt({ step, side, skip }: Death): void {
  let left = skip
  const prepare = Database.prototype.prepare
  Database.prototype.prepare = function (this: Database.Database, sql: string) {
    const statement = prepare.call(this, sql)
    if (stepOf(sql) !== step) return statement
    for (const method of ['run', 'all', 'get'] as const) {
      const original = statement[method].bind(statement) as (...values: unknown[]) => unknown
      const deadly = (...values: unknown[]): unknown => {
        if (side === 'request' && left-- <= 0) process.kill(process.pid, 'SIGKILL')
        const answer = original(...values)
        if (side === 'answer' && left-- <= 0) process.kill(process.pid, 'SIGKILL')
        return answer
      }
      Object.assign(statement, { [method]: deadly })
    }
    return statement
  } as typeof prepare
}
