/** A front before a server, reached over TLS or over a Unix socket. It passes everything on as it is. */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { TLSSocket } from 'node:tls'
import { temporaryFolder } from './sqlite.ts'
import { ENCRYPTION_REQUESTS } from './pg-messages.ts'

/** For the name `localhost`, and for this purpose alone. */
export const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBlDCCATugAwIBAgIUCRLM9qxuLrKHTmX5BSe9GlI0CjkwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyOTAxMDc0N1oYDzIxMjYxMTA1
MDEwNzQ3WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATGqskszMMMu9YUFVh5Cb7FeQ1Phsf54RQY3cDfu7J43Hu0Oelt1VVT
oBSYe8ANxCcllLMT9DCDGrrMMBKe37JYo2kwZzAdBgNVHQ4EFgQU3Gs8V8E19lIM
FzalHKGaP6pfbrYwHwYDVR0jBBgwFoAU3Gs8V8E19lIMFzalHKGaP6pfbrYwDwYD
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID
RwAwRAIgA5aT2gGoc1gC7iF+bZNL5Y2dsf/A8tPtRuWB1Z/c8lcCIAEjO9MDHvrv
aBecYuDjl3JnTwWsu0KLZWmCVZNE9uPi
-----END CERTIFICATE-----`
const KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgupFSZt62dRzdRaQ4
yUW1tpNmPe2lpFG6CT+4Jwh1KbShRANCAATGqskszMMMu9YUFVh5Cb7FeQ1Phsf5
4RQY3cDfu7J43Hu0Oelt1VVToBSYe8ANxCcllLMT9DCDGrrMMBKe37JY
-----END PRIVATE KEY-----`

export interface Front {
  /** Where it listens: a port of 127.0.0.1, or a folder with a socket that is called as PostgreSQL calls those of port 5432. */
  readonly port: number
  readonly folder: string
  /** How many connections it has had. */
  readonly count: number
  close(): Promise<void>
}

/** `target` is the url of the server. */
export async function openFront(target: string, kind: 'tls' | 'unix'): Promise<Front> {
  const { hostname, port } = new URL(target)
  const open = new Set<Socket>()
  let count = 0
  const keep = (socket: Socket): Socket => {
    open.add(socket)
    return socket.on('error', () => undefined).on('close', () => open.delete(socket))
  }
  const passOn = (client: Socket): void => {
    const server = keep(connect(Number(port), hostname))
    client.pipe(server).pipe(client)
    client.on('close', () => server.end())
  }
  const server = createServer((socket) => {
    count += 1
    keep(socket)
    if (kind === 'unix') return passOn(socket)
    return void socket.once('data', (request) => {
      const isEncrypted = ENCRYPTION_REQUESTS.includes((request as Buffer).readInt32BE(4))
      if (!isEncrypted) return void socket.destroy()
      socket.write('S')
      return passOn(keep(new TLSSocket(socket, { isServer: true, key: KEY, cert: CERTIFICATE })))
    })
  })
  const folder = temporaryFolder()
  await listening(server, kind === 'unix' ? join(folder, '.s.PGSQL.5432') : undefined)
  return {
    port: kind === 'unix' ? 5432 : (server.address() as AddressInfo).port,
    folder,
    get count() {
      return count
    },
    async close() {
      for (const socket of open) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function listening(server: Server, path: string | undefined): Promise<void> {
  await new Promise<void>((resolve) => {
    if (path === undefined) server.listen(0, '127.0.0.1', resolve)
    else server.listen(path, resolve)
  })
}
