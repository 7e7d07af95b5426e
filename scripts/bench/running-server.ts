import type { Targets } from './databases.ts'
import { Asked } from './questions.ts'
import type { OpenRequest } from './server.ts'
import { SERVERS, type ServerPlan } from './servers.ts'

/** A server in a process of its own. */
export interface RunningServer {
  readonly name: string
  readonly plan: ServerPlan
  readonly port: number
  readonly process: Asked
  stop(): Promise<void>
}

/** `options` add to those of its plan. */
export async function startServer(
  name: string,
  targets: Targets,
  options: Readonly<Record<string, unknown>> = {},
): Promise<RunningServer> {
  const plan = SERVERS[name]!
  const process = new Asked('./server.ts', name, {
    env: { NODE_ENV: 'production', SQLASSIST_DISABLE_TRANSACTION: '0', ...plan.env },
    execArgv: ['--expose-gc'],
  })
  const request: OpenRequest = { module: plan.module, targets, options: { ...plan.options, ...options } }
  const port = await process.ask<number>('open', request)
  return {
    name,
    plan,
    port,
    process,
    async stop() {
      await process.ask('close')
      await process.stop()
    },
  }
}
