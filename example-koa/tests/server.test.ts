import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import { createDatabase } from '../../tests/support/postgres.ts'
import { temporaryFolder } from '../../tests/support/sqlite.ts'
import { sharedCluster, type Cluster } from '../../tests/support/replicas.ts'
import { suite } from '../../tests/support/suite.ts'

const SERVER = fileURLToPath(new URL('../server.ts', import.meta.url))
const JSON_TYPE = { 'content-type': 'application/json' }

type Environment = Readonly<Record<string, string>>

interface Running {
  readonly url: string
  /** Asks it to stop; its exit code. */
  stop(): Promise<number>
}

/** Starts the server as a process of its own and waits for its address. */
async function start(env: Environment): Promise<Running> {
  const server = spawn(process.execPath, [SERVER], {
    env: { ...process.env, DATABASE_URL: '', PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exited = once(server, 'exit')
  let output = ''
  const url = await new Promise<string>((resolve, reject) => {
    const read = (chunk: Buffer) => {
      output += chunk.toString()
      const address = /http:\/\/\S+/.exec(output)
      if (address) resolve(address[0])
    }
    server.stdout.on('data', read)
    server.stderr.on('data', read)
    server.once('exit', (code) => reject(new Error(`exited with ${code}: ${output}`)))
  })
  return {
    url,
    async stop() {
      server.kill('SIGTERM')
      const [code] = (await exited) as [number]
      return code
    },
  }
}

async function register({ url }: Running, username: string): Promise<Response> {
  const user = { username, email: `${username}@example.org`, password: 'secret' }
  return await fetch(`${url}/api/users`, { method: 'POST', headers: JSON_TYPE, body: JSON.stringify({ user }) })
}

async function newFolder(): Promise<Environment> {
  return { DATA_DIR: await mkdtemp(join(temporaryFolder(), 'server-')) }
}

const test = suite('the server')

test('stops when it is told to, and after a restart everything is there and everybody still signed in', async () => {
  const environment = await newFolder()
  const first = await start(environment)
  const { user } = (await (await register(first, 'stayer')).json()) as { user: { token: string } }
  assert.is(await first.stop(), 0)
  const second = await start(environment)
  const current = await fetch(`${second.url}/api/user`, { headers: { authorization: `Token ${user.token}` } })
  assert.is(current.status, 200)
  assert.is(await second.stop(), 0)
})

test('several can start at the same moment on one empty database', async () => {
  for (const environment of [
    await newFolder(),
    { ...(await newFolder()), DATABASE_URL: await createDatabase('server') },
  ]) {
    const servers = await Promise.all([start(environment), start(environment), start(environment)])
    const answers = await Promise.all(servers.map((server, index) => register(server, `user${index}`)))
    assert.equal(
      answers.map(({ status }) => status),
      [201, 201, 201],
    )
    assert.equal(await Promise.all(servers.map((server) => server.stop())), [0, 0, 0])
  }
})

test('serves without transactions when the environment says so, and not at all when it is unclear', async () => {
  const server = await start({ ...(await newFolder()), SQLASSIST_DISABLE_TRANSACTION: '1' })
  assert.is((await register(server, 'plain')).status, 201)
  assert.is(await server.stop(), 0)
  const message = await start({ ...(await newFolder()), SQLASSIST_DISABLE_TRANSACTION: 'maybe' }).then(
    () => 'started',
    (error: Error) => error.message,
  )
  assert.match(message, 'SQLASSIST_DISABLE_TRANSACTION')
})

test('says in one line that its port is taken, or that its database is not there', async () => {
  const environment = await newFolder()
  const first = await start(environment)
  const { port } = new URL(first.url)
  const outputOf = async (env: Environment): Promise<string> =>
    await start(env).then(
      () => 'started',
      (error: Error) => error.message,
    )
  const taken = await outputOf({ ...(await newFolder()), PORT: port })
  assert.match(taken, /^exited with 1: The server cannot listen: .*EADDRINUSE.*PORT=3001 npm start\n$/)
  const absent = await outputOf({ ...(await newFolder()), DATABASE_URL: 'postgres://nobody@127.0.0.1:9/none' })
  assert.match(absent, /^exited with 1: The database cannot be used \(.*ECONNREFUSED.*\n$/)
  assert.is(await first.stop(), 0)
})

test('on replicas that lag it shows a client what the client has just written', async () => {
  const cluster = await sharedCluster()
  const DATABASE_URL = await databaseIn(cluster)
  const DATABASE_REPLICAS = cluster.standbys.map(({ port }) => DATABASE_URL.replace(/:\d+\//, `:${port}/`)).join()
  const server = await start({ ...(await newFolder()), DATABASE_URL, DATABASE_REPLICAS })
  const registered = await register(server, 'writer')
  const { user } = (await registered.json()) as { user: { token: string } }
  const authorization = `Token ${user.token}`
  await cluster.level()
  const tags = async (cookie: string): Promise<unknown> =>
    ((await (await fetch(`${server.url}/api/tags`, { headers: { cookie } })).json()) as { tags: unknown }).tags
  assert.equal(await tags(''), [])
  for (const standby of cluster.standbys) await standby.pause()
  const body = JSON.stringify({ article: { title: 'New', description: 'new', body: 'new', tagList: ['fresh'] } })
  const published = await fetch(`${server.url}/api/articles`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body,
  })
  assert.is(published.status, 201)
  const cookie = published.headers.getSetCookie().find((each) => each.startsWith('sqlassist_position=')) ?? ''
  assert.equal([await tags(cookie.split(';')[0] ?? ''), await tags('')], [['fresh'], []])
  await cluster.level()
  assert.is(await server.stop(), 0)
})

async function databaseIn({ look, primary }: Cluster): Promise<string> {
  await look.rows('create database example')
  const url = new URL(primary.url)
  url.pathname = '/example'
  return url.href
}

test.run()
