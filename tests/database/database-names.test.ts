/** Which names of a database are its own: those of a copy, a restart, a standby that took over. */
import * as assert from 'uvu/assert'
import pg from 'pg'
import { databaseNames, nameRowId } from '../../source/database/database-names.ts'
import { whereaboutsOf } from '../../source/database/postgres/postgres-identity.ts'
import { postgres } from '../support/postgres.ts'
import { suite } from '../support/suite.ts'

const test = suite<{ client: pg.Client }>('names of databases')

test.before(async (world) => {
  world.client = new pg.Client({ connectionString: (await postgres()).url })
  await world.client.connect()
})
test.after(async ({ client }) => await client.end())

test('a name belongs to a server from its start to its end; a restart in its place and a promoted standby inherit it', async ({
  client,
}) => {
  const now = await whereaboutsOf(client)
  const [identity = '', address = '', timeline = ''] = now.text.split(' ')
  const [system, database, start] = identity.split('/')
  assert.match(now.text, /^\d+\/\d+\/\d{16} [\d.a-f:/]*:\d+ \d+$/)
  const before = Number(start) - 1
  const whereabouts: Record<string, string> = {
    now: now.text,
    'now, by another address': `${identity} 10.0.0.1:5432 ${timeline}`,
    restarted: `${system}/${database}/${before} ${address} ${timeline}`,
    promoted: `${system}/${database}/${before} 10.0.0.1:5432 ${Number(timeline) - 1}`,
    'copied with its files': `${system}/${database}/${before} 10.0.0.1:5432 ${timeline}`,
    'copied within the server': `${system}/1/${start} ${address} ${timeline}`,
    'restored from a dump': `1/${database}/${before} ${address} ${timeline}`,
  }
  const own: Record<string, unknown> = {}
  for (const [name, text] of Object.entries(whereabouts)) {
    const names = databaseNames(now, [{ name, whereabouts: text }])
    own[name] = names.name === name ? 'own' : names.inherited.includes(name) ? 'inherited' : 'foreign'
    assert.equal(names.names, [name])
  }
  assert.equal(own, {
    now: 'own',
    'now, by another address': 'own',
    restarted: 'inherited',
    promoted: 'inherited',
    'copied with its files': 'foreign',
    'copied within the server': 'foreign',
    'restored from a dump': 'foreign',
  })
})

test('a row without whereabouts gives no name of its own; the first name and later ones have rows of their own', async ({
  client,
}) => {
  const now = await whereaboutsOf(client)
  const names = databaseNames(now, [{ name: 'by hand', whereabouts: null }])
  assert.equal([names.name, names.inherited, names.names], [undefined, [], ['by hand']])
  assert.is(nameRowId(databaseNames(now, [])), 'database')
  assert.is(nameRowId(names), `database ${now.identity}`)
})

test('who may not ask for the number of the server knows it by its address', async () => {
  const { createDatabase } = await postgres()
  const other = new pg.Client({ connectionString: await createDatabase('restricted') })
  await other.connect()
  await other.query('revoke execute on function pg_control_system() from public')
  await other.query('set role pg_monitor')
  const { identity, text } = await whereaboutsOf(other)
  await other.end()
  assert.match(identity, /^[\d.a-f:/]*:\d+\/\d+\/\d{16}$/)
  assert.match(text, / 0$/)
})

test.run()
