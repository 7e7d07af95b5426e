import { connect } from 'node:net'
import pg from 'pg'
import * as assert from 'uvu/assert'
import { CANCEL_REQUEST } from './pg-messages.ts'
import { createDatabase } from './postgres.ts'
import { rejection } from './rejection.ts'
import { secondLook, type SecondLook } from './second-look.ts'
import { splitSql } from './split-sql.ts'
import { suite } from './suite.ts'
import { until } from './until.ts'
import { openWire, type Wire } from './wire.ts'

const test = suite('wire')

let look: SecondLook
let wire: Wire
let client: pg.Client

test.before(async () => {
  const url = await createDatabase('wire')
  look = await secondLook(url)
  await look.rows('create table t (n int)')
  wire = await openWire(url)
})

test.after(async () => {
  await wire.close()
  await look.close()
})

test.before.each(async () => {
  await look.rows('truncate t')
  client = await connected()
  wire.reset()
})

test.after.each(async () => {
  await client.end()
  wire.delay({ toServer: 0, toClient: 0 })
})

async function connected(): Promise<pg.Client> {
  const opened = new pg.Client({ connectionString: wire.url })
  opened.on('error', () => undefined) // a cut connection rejects the query that waits for it, which is what the tests look at
  await opened.connect()
  return opened
}

test('what the client sent is recorded in order, the start-up of a connection is not', async () => {
  await client.query('begin')
  await client.query('insert into t values ($1)', [1])
  await client.query('commit')
  assert.equal(wire.sql(), ['begin', 'insert into t values ($1)', 'commit'])
  assert.equal(
    wire.messages().map(({ protocol }) => protocol),
    ['simple', 'extended', 'simple'],
  )
})

test('a simple query of several statements is one message and one trip, and each statement is recorded', async () => {
  await client.query("begin;insert into t values (1); select ';'")
  await client.query('commit')
  assert.equal(wire.sql(), ['begin', 'insert into t values (1)', "select ';'", 'commit'])
  assert.equal(
    wire.trips().map(({ messages }) => messages),
    [["begin;insert into t values (1); select ';'"], ['commit']],
  )
})

test('a prepared statement is recorded each time it runs', async () => {
  for (const n of [1, 2]) await client.query({ name: 'add', text: 'insert into t values ($1)', values: [n] })
  assert.equal(wire.sql(), ['insert into t values ($1)', 'insert into t values ($1)'])
  assert.is(wire.trips().length, 2)
})

test('messages sent without waiting travel in one trip', async () => {
  wire.delay({ toServer: 5, toClient: 5 })
  const piped = new pg.Client({ connectionString: wire.url, pipeline: true })
  await piped.connect()
  await Promise.all(['begin', 'insert into t values (1)', 'commit'].map((sql) => piped.query(sql)))
  await piped.end()
  assert.equal(
    wire.trips().map(({ messages }) => messages),
    [['begin', 'insert into t values (1)', 'commit']],
  )
})

test('connections are told apart', async () => {
  const other = await connected()
  await other.query('select 1')
  await client.query('select 2')
  await other.query('select 3')
  await other.end()
  const [first, second, third] = wire.statements()
  assert.is(first?.connection, third?.connection)
  assert.is.not(first?.connection, second?.connection)
})

test('a failed statement is a trip like any other, and the next one runs', async () => {
  assert.match((await rejection(client.query('select nonsense'))).message, /nonsense/)
  assert.match((await rejection(client.query('select nonsense where 1 = $1', [1]))).message, /nonsense/)
  await client.query('select 1')
  assert.is(wire.trips().length, 3)
})

test('a held request is not known to the server until it is released', async () => {
  const held = wire.hold(/^insert/, 'request')
  const inserted = client.query('insert into t values (1)')
  await held.reached
  assert.is(await look.value('select count(*) from t'), 0)
  held.release()
  await inserted
  assert.is(await look.value('select count(*) from t'), 1)
})

test('a held answer is not known to the client until it is released, and the server has done the work', async () => {
  await client.query('begin;insert into t values (1)')
  const held = wire.hold(/^commit/, 'answer')
  let answered = false
  const committed = client.query('commit').then(() => (answered = true))
  await held.reached
  assert.is(await look.value('select count(*) from t'), 1)
  assert.is(answered, false)
  assert.is(held.count, 1)
  held.release()
  await committed
})

test('a connection cut before a message: the server never had it', async () => {
  await client.query('begin;insert into t values (1)')
  const cut = wire.cut(/^commit/, 'before')
  assert.match((await rejection(client.query('commit'))).message, /terminated/)
  await cut.done
  assert.is(await look.value('select count(*) from t'), 0)
})

test('a connection cut after a message: the server has done it and the client does not know', async () => {
  await client.query('begin;insert into t values (1)')
  const cut = wire.cut(/^commit/, 'after')
  assert.match((await rejection(client.query('commit'))).message, /terminated/)
  await cut.done
  assert.is(await look.value('select count(*) from t'), 1)
})

test('a cut is made once, at the message the caller chooses', async () => {
  let inserts = 0
  wire.cut(({ text }) => text.startsWith('insert') && ++inserts === 2, 'before')
  await client.query('insert into t values (1)')
  assert.match((await rejection(client.query('insert into t values ($1)', [2]))).message, /terminated/)
  const other = await connected()
  await other.query('insert into t values (3)')
  await other.end()
  assert.equal(await look.rows('select n from t order by n'), [{ n: 1 }, { n: 3 }])
})

test('a database that is down refuses connections, and takes them when it is up again', async () => {
  await wire.down()
  assert.is(((await rejection(connected())) as NodeJS.ErrnoException).code, 'ECONNREFUSED')
  assert.is(wire.connections, 0)
  await wire.up()
  const other = await connected()
  await other.query('select 1')
  await other.end()
})

test('a cancel request goes through and is counted, not numbered', async () => {
  const asked = wire.hold(/pg_sleep/, 'request')
  const running = rejection(client.query('select pg_sleep(60)'))
  await asked.reached
  asked.release()
  await until(
    async () =>
      (await look.value("select count(*) from pg_stat_activity where query like '%sleep(60)' and state = 'active'")) ===
      1,
  )
  const { processID, secretKey } = client as pg.Client & { processID: number; secretKey: number }
  const request = Buffer.alloc(16)
  for (const [index, word] of [16, CANCEL_REQUEST, processID, secretKey].entries())
    request.writeInt32BE(word, index * 4)
  connect(Number(new URL(wire.url).port), '127.0.0.1').end(request)
  assert.is(((await running) as pg.DatabaseError).code, '57014')
  assert.is(wire.cancels, 1)
  assert.is(wire.connections, 1)
})

test('semicolons inside strings, names, comments and dollar quotes split nothing', () => {
  assert.equal(splitSql(`a ';' "x;y" -- c;\n; b /* ;;\n */ ;; do $f$ ; $f$; e'\\';' ; $1 $2`), [
    `a ';' "x;y" -- c;`,
    'b /* ;;\n */',
    'do $f$ ; $f$',
    `e'\\';'`,
    '$1 $2',
  ])
})

test.run()
