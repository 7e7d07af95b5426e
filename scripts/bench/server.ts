/** A process with one server: opened, asked what it has used, closed. */
import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AddressInfo } from 'node:net'
import process from 'node:process'
import Koa from 'koa'
import type { Targets } from './databases.ts'
import { Profiler } from './profiler.ts'
import { answer } from './questions.ts'
import type { BenchServer, OpenServer } from './servers/bench-server.ts'
import { SHAPES, type Work } from './works.ts'

export interface OpenRequest {
  readonly module: string
  readonly targets: Targets
  readonly options: Readonly<Record<string, unknown>>
}

let server: BenchServer
let http: Server
const profiler = new Profiler()

answer({
  async open({ module, targets, options }: OpenRequest): Promise<number> {
    const { open } = (await import(`./servers/${module}.ts`)) as { readonly open: OpenServer }
    server = await open(targets, options)
    const handle = application(server).callback()
    http = createServer((incoming, outgoing) => void handle(incoming, outgoing))
    http.listen(0, '127.0.0.1')
    await once(http, 'listening')
    return (http.address() as AddressInfo).port
  },
  cpuMicros(): number {
    const { user, system } = process.cpuUsage()
    return user + system
  },
  heapBytes(): number {
    globalThis.gc?.()
    globalThis.gc?.()
    return process.memoryUsage().heapUsed
  },
  /** Answers when all work that needs no answer from outside is done. */
  async idle(): Promise<void> {
    for (let turn = 0; turn < 2; turn++) {
      await sleep(1)
      await new Promise(setImmediate)
    }
  },
  startProfile: () => profiler.start(),
  stopProfile: () => profiler.stop(),
  async close(): Promise<void> {
    http.closeAllConnections()
    http.close()
    await server.close()
  },
})

/** No router: what it costs would be the same in all, and hide what is to be seen. */
function application({ middleware, handlers }: BenchServer): Koa {
  const app = new Koa()
  for (const each of middleware) app.use(each)
  app.use(async (ctx) => {
    const [, work = '', argument = ''] = ctx.path.split('/')
    const handler = handlers[work as Work]
    if (handler === undefined) return
    ctx.status = SHAPES[work as Work].status
    ctx.body = await handler(ctx, argument)
  })
  return app
}
