import * as assert from 'uvu/assert'
import { ConfigurationError } from '../../source/index.ts'
import { refusal, type Asking } from '../../source/debug/access.ts'
import { resolveDebugPanelOptions, type DebugPanelOptions } from '../../source/debug/debug-panel-options.ts'
import { debugPanel } from '../../source/debug/index.ts'
import { suite } from '../support/suite.ts'
import { openPanelWorld, type PanelWorld } from './panel-world.ts'

const test = suite<{ world: PanelWorld }>('who may look at the debug panel')

test.before(async (context) => {
  context.world = await openPanelWorld('sqlite')
})
test.after(({ world }) => world.close())

function answers(
  remoteAddress: string | undefined,
  headers: Asking['headers'],
  options: DebugPanelOptions = {},
): boolean {
  const asking = { socket: { remoteAddress }, headers }
  return refusal(asking, resolveDebugPanelOptions(options, undefined)) === undefined
}

test('the panel answers this machine, under each of its addresses, and nobody else', () => {
  for (const address of ['127.0.0.1', '127.8.9.10', '::1', '::ffff:127.0.0.1']) {
    assert.ok(answers(address, { host: 'localhost' }), address)
  }
  for (const address of ['10.0.0.7', '192.168.1.2', '::ffff:10.0.0.7', 'fe80::1%eth0', '2001:db8::1', '', undefined]) {
    assert.not(answers(address, { host: 'localhost' }), String(address))
  }
})

test('a header about whom a proxy asks for takes access away, and never gives it', () => {
  const local = { host: 'localhost' }
  assert.not(answers('10.0.0.7', { ...local, 'x-forwarded-for': '127.0.0.1' }))
  for (const headers of [
    { 'x-forwarded-for': '203.0.113.9' },
    { 'x-forwarded-for': '127.0.0.1, 203.0.113.9' },
    { 'x-forwarded-for': 'unknown' },
    { 'x-real-ip': '203.0.113.9' },
    { forwarded: 'for="[2001:db8::1]:4711";proto=https' },
    { forwarded: 'for=127.0.0.1, for=203.0.113.9' },
  ]) {
    assert.not(answers('127.0.0.1', { ...local, ...headers }), JSON.stringify(headers))
  }
  for (const headers of [
    { 'x-forwarded-for': '127.0.0.1, ::1' },
    { 'x-real-ip': '127.0.0.1' },
    { forwarded: 'for="[::1]:4711", for=127.0.0.1:80' },
  ]) {
    assert.ok(answers('127.0.0.1', { ...local, ...headers }), JSON.stringify(headers))
  }
})

test('the panel answers under local names, with any port and spelling, and under no other', () => {
  for (const host of [
    'localhost',
    'LOCALHOST:3000',
    'localhost.:80',
    'app.localhost',
    '127.0.0.1:8080',
    '[::1]:3000',
  ]) {
    assert.ok(answers('127.0.0.1', { host }), host)
  }
  for (const host of [
    'evil.example',
    'localhost.evil.example',
    'localhost@evil.example',
    'evil.example#localhost',
    'notlocalhost',
    '10.0.0.7:3000',
    '[2001:db8::1]',
    'localhost localhost',
    '',
    undefined,
  ]) {
    assert.not(answers('127.0.0.1', { host }), String(host))
  }
  assert.not(answers('127.0.0.1', { host: 'localhost', ':authority': 'evil.example' }))
  assert.not(answers('127.0.0.1', { host: 'evil.example', 'x-forwarded-host': 'localhost' }))
})

test('allowHosts and allowAddresses allow further hosts and addresses', () => {
  assert.ok(answers('127.0.0.1', { host: 'App.Test:3000' }, { allowHosts: ['app.test'] }))
  assert.not(answers('127.0.0.1', { host: 'sub.app.test' }, { allowHosts: ['app.test'] }))
  const options = { allowAddresses: ['172.17.0.0/16', '2001:db8::7'] }
  for (const address of ['172.17.4.2', '::ffff:172.17.4.2', '2001:db8::7', '127.0.0.1']) {
    assert.ok(answers(address, { host: 'localhost' }, options), address)
  }
  assert.not(answers('172.18.0.1', { host: 'localhost' }, options))
  assert.not(answers('2001:db8::8', { host: 'localhost' }, options))
})

test('a real request under a foreign name gets 403 for every page, and its own response no word of the panel', async ({
  world,
}) => {
  world.answer((ctx) => (ctx.body = '<!doctype html><body>hello</body>'))
  const foreign = { headers: { host: 'rebound.example' } }
  const paths = ['', '/', '/requests.json', '/registry', '/registry.json', '/events', '/panel.js', '/requests/x']
  for (const path of paths) {
    const reply = await world.server.request('GET', `/_sqlassist${path}`, foreign)
    assert.equal([reply.status, reply.headers['content-type']], [403, 'text/plain; charset=utf-8'], path)
    assert.match(reply.text, /under the name localhost, and was asked under rebound\.example.*allowHosts/)
  }
  const own = await world.server.request('GET', '/', foreign)
  assert.equal([own.text, own.headers['server-timing']], ['<!doctype html><body>hello</body>', undefined])
  const forwarded = await world.server.request('GET', '/_sqlassist', { headers: { 'x-forwarded-for': '203.0.113.9' } })
  assert.is(forwarded.status, 403)
})

test('nothing but GET and HEAD is answered', async ({ world }) => {
  for (const method of ['POST', 'PUT', 'DELETE']) {
    const reply = await world.server.request(method, '/_sqlassist')
    assert.equal([reply.status, reply.headers.allow], [405, 'GET, HEAD'])
  }
  const head = await world.server.request('HEAD', '/_sqlassist')
  assert.equal([head.status, head.text], [200, ''])
})

test('in production the panel refuses to be mounted without allowInProduction', ({ world }) => {
  const before = process.env['NODE_ENV']
  process.env['NODE_ENV'] = 'production'
  try {
    assert.throws(() => debugPanel(world.registry), /NODE_ENV is "production".*allowInProduction: true/)
    debugPanel(world.registry, { allowInProduction: true }).close()
  } finally {
    if (before === undefined) delete process.env['NODE_ENV']
    else process.env['NODE_ENV'] = before
  }
})

test('options that cannot work are refused at once, with the fix', ({ world }) => {
  const refusals: readonly (readonly [unknown, RegExp])[] = [
    [{ pth: '/x' }, /no option "pth"\. The options are path, keep,/],
    [{ path: 'x' }, /path is "x"\. It can be "\/" and a name/],
    [{ path: '/' }, /path is "\/"/],
    [{ path: '/a"b' }, /path is/],
    [{ keep: 0 }, /keep is 0\. It can be a whole number from 1 to 10000/],
    [{ keep: Infinity }, /keep is Infinity/],
    [{ statements: 1.5 }, /statements is 1\.5/],
    [{ statementLength: 3 }, /statementLength is 3\. It can be a whole number from 100/],
    [{ hideParameters: 'yes' }, /hideParameters is "yes"\. It can be true or false/],
    [{ allowInProduction: 1 }, /allowInProduction is 1/],
    [{ allowHosts: 'app.test' }, /allowHosts is "app\.test"\. It can be a list of strings/],
    [{ allowHosts: ['http://app.test'] }, /allowHosts has "http:\/\/app\.test"\. Give host names/],
    [{ allowAddresses: ['everybody'] }, /allowAddresses has "everybody"/],
    [{ allowAddresses: ['10.0.0.0/33'] }, /allowAddresses has "10\.0\.0\.0\/33"/],
  ]
  for (const [options, message] of refusals) {
    try {
      debugPanel(world.registry, options as DebugPanelOptions)
      assert.unreachable(`took ${JSON.stringify(options)}`)
    } catch (error) {
      assert.instance(error, ConfigurationError)
      assert.match((error as Error).message, message)
    }
  }
  assert.throws(() => debugPanel({} as never), /takes the EngineRegistry that dbSessions was given/)
})

test.run()
