/**
 * The process that stands between the servers and PostgreSQL, so that its CPU time is nobody else's. Two kinds of network:
 * one that takes its time, and one that stands still until it is asked for the next answers.
 */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { DelayLine } from './delay-line.ts'
import { answer } from './questions.ts'
import { SteppedNetwork } from './stepped-network.ts'

export interface Route {
  readonly port: number
  /** Of a whole round trip: half on the way there, half on the way back. */
  readonly delayMs: number
}

const stepped = new SteppedNetwork()

answer({
  delayed: ({ port, delayMs }: Route) => {
    const [there, back] = [new DelayLine(delayMs / 2), new DelayLine(delayMs / 2)]
    return listen(port, (client, server) => {
      relay(client, server, there)
      relay(server, client, back)
    })
  },
  stepped: ({ port }: Route) => listen(port, (client, server) => stepped.add(client, server)),
  hold: () => stepped.hold(),
  flow: () => stepped.flow(),
  state: async () => {
    // Reads what has arrived before it is reported.
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate)
    return stepped.state()
  },
  step: () => stepped.step(),
})

async function listen(port: number, join: (client: Socket, server: Socket) => void): Promise<number> {
  const listener = createServer((client) => {
    const server = connect({ host: '127.0.0.1', port, noDelay: true })
    client.setNoDelay(true)
    for (const socket of [client, server]) socket.on('error', () => undefined)
    client.on('close', () => server.destroySoon())
    server.on('close', () => client.destroySoon())
    join(client, server)
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  return (listener.address() as AddressInfo).port
}

function relay(from: Socket, to: Socket, line: DelayLine): void {
  from.on('data', (chunk: Buffer) => line.add(() => to.write(chunk)))
}
