import { createServer, get, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import * as assert from 'uvu/assert'
import type { RecordedRequest } from '../../source/debug/index.ts'
import { LiveEvents } from '../../source/debug/live-events.ts'
import { RequestLog } from '../../source/debug/request-log.ts'
import { Author } from '../support/entities.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'
import { openPanelWorld, type PanelWorld } from './panel-world.ts'

const test = suite<{ world: PanelWorld }>('live events of the debug panel')

test.before.each(async (context) => {
  context.world = await openPanelWorld('sqlite')
})
test.after.each(({ world }) => world.close())

interface Stream {
  readonly head: IncomingMessage
  text(): string
  ended(): boolean
}

async function follow(head: Promise<IncomingMessage>): Promise<Stream> {
  const message = await head
  let text = ''
  let ended = false
  message.setEncoding('utf8')
  message.on('data', (chunk: string) => (text += chunk))
  message.on('end', () => (ended = true))
  message.on('error', () => (ended = true))
  await until(() => text.includes('event: open'), 'the first event')
  return { head: message, text: () => text, ended: () => ended }
}

test('every change of a request is sent by its id, to every listener', async ({ world }) => {
  const streams = await Promise.all([1, 2].map(() => follow(world.server.open('GET', '/_sqlassist/events').head)))
  assert.is(streams[0]!.head.headers['content-type'], 'text/event-stream')
  const { id } = await world.record((ctx) => ctx.dbSession.reader.count(Author))
  for (const { text } of streams) {
    await until(() => text().includes(`event: changed\ndata: ${JSON.stringify({ ids: [id] })}\n\n`), text)
  }
})

test('a registry that closes ends live streams, and so does the panel', async ({ world }) => {
  const first = await follow(world.server.open('GET', '/_sqlassist/events').head)
  world.panel.close()
  await until(first.ended, 'the end by the panel')
  const late = await world.server.request('GET', '/_sqlassist/events')
  assert.match(late.text, /event: open/)

  const other = await openPanelWorld('sqlite')
  const second = await follow(other.server.open('GET', '/_sqlassist/events').head)
  await other.registry.close()
  await until(second.ended, 'the end by the registry')
  await other.close()
})

test('a server that closes need not wait for live streams', async ({ world }) => {
  const answer = world.app.callback()
  const server: Server = createServer((req, res) => void answer(req, res))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const head = new Promise<IncomingMessage>((resolve, reject) => {
    get({ port, host: '127.0.0.1', path: '/_sqlassist/events', agent: false }, resolve).on('error', reject)
  })
  const stream = await follow(head)
  await new Promise((resolve) => server.close(resolve))
  await until(stream.ended, 'the end of the stream')
})

test('a browser that does not read is let go', async () => {
  const log = new RequestLog(10_000)
  const events = new LiveEvents(log)
  const stream = events.open({} as Socket)
  const change = (): void => {
    for (let index = 0; index < 6000; index++) log.add({ id: log.newId() } as RecordedRequest)
  }
  change()
  await until(() => stream.readableLength > 64 * 1024 || stream.destroyed, 'a long event')
  assert.not(stream.destroyed)
  await until(() => {
    change()
    return stream.destroyed
  }, 'the end of the stream')
  events.close()
})

test('of many listeners the oldest goes, and one that went away does not count', async ({ world }) => {
  const open = (): Promise<Stream> => follow(world.server.open('GET', '/_sqlassist/events').head)
  const gone = world.server.open('GET', '/_sqlassist/events')
  await follow(gone.head)
  gone.destroy()
  await world.server.idle()
  const streams = await Promise.all(Array.from({ length: 50 }, open))
  assert.is(streams.filter(({ ended }) => ended()).length, 0)
  await open()
  await until(() => streams.some(({ ended }) => ended()), 'the end of the oldest')
  assert.is(streams.filter(({ ended }) => ended()).length, 1)
})

test.run()
