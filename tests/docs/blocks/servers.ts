/** Every server of the process gets a free port, whatever port its program asks for, and can be found here. */
import { once } from 'node:events'
import { Server, type AddressInfo } from 'node:net'

export const servers: Server[] = []

/** From here on. */
export function listenAnywhere(): void {
  const listen = Server.prototype.listen as (this: Server, ...args: unknown[]) => Server
  Server.prototype.listen = function listenElsewhere(this: Server, ...args: unknown[]) {
    servers.push(this)
    const given = args.filter((argument) => typeof argument === 'function')
    return listen.call(this, 0, '127.0.0.1', ...given)
  } as typeof Server.prototype.listen
}

export async function urlOf(server: Server | undefined): Promise<string> {
  if (server === undefined) throw new Error('the program started no server')
  if (!server.listening) await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

export async function closeServers(): Promise<void> {
  for (const server of servers.splice(0)) {
    if (server.listening) await new Promise((resolve) => server.close(resolve))
  }
}
