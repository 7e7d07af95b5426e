import type { Context, Middleware } from 'koa'
import type { Targets } from '../databases.ts'
import type { Work } from '../works.ts'

/** Does the work; its answer is the body. The status is set already. */
export type Handler = (ctx: Context, argument: string) => unknown

/** What the servers differ in. Koa, the way to a handler, the bodies and the pools are the same in all. */
export interface BenchServer {
  readonly middleware: readonly Middleware<any, any>[]
  readonly handlers: Partial<Record<Work, Handler>>
  close(): Promise<void>
}

/** `options`: what the list of servers says for this one. */
export type OpenServer = (targets: Targets, options: Readonly<Record<string, unknown>>) => Promise<BenchServer>
