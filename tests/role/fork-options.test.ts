/** What a role gives as `fork`: each option of em.fork() works in sessions, or is refused as the registry is made. */
import process from 'node:process'
import type { ForkOptions } from '@mikro-orm/core'
import * as assert from 'uvu/assert'
import { ConfigurationError, EngineRegistry, ForeignEntityError, type EngineOptions } from '../../source/index.ts'
import { authorNames } from '../support/authors.ts'
import { databaseSuite, type DatabaseWorld } from '../support/database-suite.ts'
import { Author, Book } from '../support/entities.ts'
import { DIALECTS, openDatabase, type Dialect } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'

type Em = any

const ROLES: Record<string, Omit<EngineOptions, 'orm'>> = {
  joined: {},
  autonomous: { commit: 'autonomous' },
  autocommit: { commit: 'autocommit' },
  reading: { readOnly: true },
  snapshot: { readOnly: 'snapshot' },
}
const WRITING = ['joined', 'autonomous', 'autocommit']

interface Refusal {
  readonly fork: unknown
  readonly message: RegExp
  readonly on?: Dialect
  /** Which kinds of roles refuse it. Default: all. */
  readonly roles?: readonly string[]
}

const REFUSALS: readonly Refusal[] = [
  { fork: { useContext: true }, message: /"role" has fork: { useContext: true }.*would look for itself without end/ },
  { fork: { disableTransactions: true }, message: /{ disableTransactions: true }.*could not be undone. Leave it out/ },
  { fork: { clear: false }, message: /{ clear: false }.*share the entities of the global entity manager/ },
  { fork: { clean: true }, message: /an option "clean".*The options are clear, useContext/ },
  { fork: 'fresh', message: /a fork that is no object/ },
  { fork: [], message: /a fork that is no object/ },
  { fork: { session: { role: 'x' } }, message: /row level security.*for PostgreSQL/, on: 'sqlite' },
  {
    fork: { inflightQueryAbortStrategy: 'kill session' },
    message: /'kill session'.*'cancel query' or 'ignore query'/,
    roles: ['joined', 'autonomous', 'reading', 'snapshot'],
  },
  {
    fork: { inflightQueryAbortStrategy: 'cancel query' },
    message: /'cancel query'.*Use 'ignore query'/,
    on: 'sqlite',
    roles: ['autocommit'],
  },
]

const { signal } = new AbortController()
const WORKING: readonly ForkOptions[] = [
  { clear: true, useContext: false, disableTransactions: false },
  { freshEventManager: true },
  { cloneEventManager: true },
  { disableContextResolution: false },
  { keepTransactionContext: true },
  { flushMode: 'always' },
  { loggerContext: { label: 'x' } },
  { signal, inflightQueryAbortStrategy: 'ignore query' },
]

for (const dialect of DIALECTS) {
  const test = databaseSuite(`fork options on ${dialect}`, dialect)
  const registryOf = ({ orm }: DatabaseWorld, role: string, fork: unknown) =>
    new EngineRegistry({ role: { orm, ...ROLES[role], fork } } as Record<'role', EngineOptions>)

  for (const { fork, message, on = dialect, roles = Object.keys(ROLES) } of REFUSALS) {
    if (on !== dialect) continue
    test(`fork: ${JSON.stringify(fork)} is refused in roles that are ${roles.join(', ')}`, (world) => {
      for (const role of roles) {
        assert.throws(
          () => registryOf(world, role, fork),
          (error: Error) => error instanceof ConfigurationError && message.test(error.message),
        )
      }
    })
  }

  for (const fork of WORKING) {
    test(`fork: ${JSON.stringify(fork)} works in roles of every kind`, async (world) => {
      for (const role of Object.keys(ROLES)) {
        await registryOf(world, role, fork).run(({ dbSession }: Em) => dbSession.role.count(Author))
      }
      for (const role of WRITING) {
        await registryOf(world, role, fork).run(async ({ dbSession }: Em) => {
          await rejection(
            dbSession.role.transactional(async (em: Em) => {
              await em.insert(Author, { name: 'undone' })
              throw new Error('undo')
            }),
          )
          dbSession.role.create(Author, { name: role })
        })
      }
      assert.equal(await authorNames(world.look), WRITING)
    })
  }

  test('an entity of another role that a flush reaches is refused by a role with an event manager of its own', async (world) => {
    const other = await openDatabase(dialect)
    await world.look.rows(`insert into author (name) values ('theirs')`)
    const engines: Record<'first' | 'second', EngineOptions> = {
      first: { orm: world.orm },
      second: { orm: other.orm, fork: { freshEventManager: true } },
    }
    const running = new EngineRegistry(engines).run(async ({ dbSession: { first, second } }: Em) => {
      const author = await first.findOneOrFail(Author, { name: 'theirs' })
      author.name = 'changed'
      second.create(Book, { title: 'x', author })
      await second.flush()
    })
    const error = await running.catch((thrown: unknown) => thrown)
    await other.close()
    assert.instance(error, ForeignEntityError)
  })

  test('a session is opened without a write to the environment of the process', async (world) => {
    const name = 'MIKRO_ORM_COLORS'
    const before = process.env[name]
    const registry = registryOf(world, 'joined', {})
    process.env[name] = "the program's own"
    try {
      await registry.run(({ dbSession }: Em) => dbSession.role.count(Author))
      assert.is(process.env[name], "the program's own")
    } finally {
      if (before === undefined) delete process.env[name]
      else process.env[name] = before
    }
  })

  test.run()
}
