import type { AddressInfo } from 'node:net'
import process from 'node:process'
import { createApp } from './app.ts'
import { readConfig } from './config.ts'

const config = readConfig(process.env)
const { app, panel, close } = await createApp(config).catch((error: Error) => {
  console.error(`The database cannot be used (${error.message}). Is it there, as DATABASE_URL says, or DATA_DIR?`)
  process.exit(1)
})
app.on('published', (slug: string) => console.log(`published: /article/${slug}`))

const host = process.env['HOST'] || '127.0.0.1'
const server = app.listen(Number(process.env['PORT'] || 3000), host, () => {
  const { port } = server.address() as AddressInfo
  console.log(`Conduit on http://${host}:${port} with ${config.databaseUrl ? 'PostgreSQL' : 'SQLite'}`)
})

server.on('error', ({ message }) => {
  console.error(`The server cannot listen: ${message}. Take another port: PORT=3001 npm start`)
  process.exit(1)
})

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    // A live page of the panel would go on for ever. Other requests under way are answered; the databases close after the
    // last of them.
    panel?.close()
    server.close(() => void close().then(() => process.exit(0)))
  })
}
