/** The process that generates the load, so that its CPU time is nobody else's. */
import process from 'node:process'
import autocannon from 'autocannon'
import { quantile } from './median.ts'
import { answer } from './questions.ts'

export interface Load {
  readonly port: number
  readonly method: 'GET' | 'POST'
  /** For each connection the paths it asks for in turn. */
  readonly paths: readonly (readonly string[])[]
  readonly requests: number
  readonly status: number
}

export interface LoadResult {
  readonly requests: number
  /** From the start of the first to the end of the last. */
  readonly seconds: number
  readonly p99Ms: number
  /** Of this process: near 1 it is the load that is too slow. */
  readonly busy: number
}

answer({ run })

/** Ends when every request has been answered: a connection that is cut would cost the server more than a request. */
async function run({ port, method, paths, requests, status }: Load): Promise<LoadResult> {
  const times: number[] = []
  const unexpected = new Map<number, number>()
  let client = 0
  const cpu = process.cpuUsage()
  const from = performance.now()
  let until = from
  const { promise, resolve, reject } = Promise.withResolvers<autocannon.Result>()
  const options: autocannon.Options = {
    url: `http://127.0.0.1:${port}`,
    connections: paths.length,
    amount: Math.max(requests, paths.length),
    sampleInt: 10,
    timeout: 60,
    setupClient: (each) => each.setRequests(paths[client++]!.map((path) => ({ method, path }))),
  }
  const instance = autocannon(options, (error, result) => (error ? reject(error as Error) : resolve(result)))
  instance.on('response', (_, code, __, milliseconds) => {
    until = performance.now()
    times.push(milliseconds)
    if (code !== status) unexpected.set(code, (unexpected.get(code) ?? 0) + 1)
  })
  const { errors } = await promise
  if (errors > 0 || unexpected.size > 0) {
    const codes = [...unexpected].map(([code, count]) => `${count} times ${code}`).join(', ')
    throw new Error(`${method} ${paths[0]![0]}: ${errors} errors; instead of ${status}: ${codes || 'nothing'}`)
  }
  const { user, system } = process.cpuUsage(cpu)
  return {
    requests: times.length,
    seconds: (until - from) / 1000,
    p99Ms: quantile(times, 0.99),
    busy: (user + system) / 1000 / (performance.now() - from),
  }
}
