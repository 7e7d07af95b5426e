/** A sandbox as a user who may do little: use its own tables, and nothing of a schema that others have in the database. */
import process from 'node:process'
import assert from 'node:assert/strict'
import { EngineRegistry } from '../../source/index.ts'
import { createSandbox } from '../../source/testing/index.ts'
import { Author } from '../support/entities.ts'
import { newDatabase, openOrm } from '../support/orms.ts'
import { postgres } from '../support/postgres.ts'
import { rejection } from '../support/rejection.ts'
import { secondLook } from '../support/second-look.ts'
import { suite } from '../support/suite.ts'

const USER = `plain_${process.pid}`
const test = suite('testing: sandbox of a user with few rights')

test.before(async () => {
  const { adminQuery } = await postgres()
  await adminQuery(`create role ${USER} login password 'secret'`)
})

test.after(async () => {
  const { adminQuery } = await postgres()
  await adminQuery(`drop role ${USER}`)
})

for (const sequences of ['continue', 'restore'] as const) {
  test(`a schema that it may not use keeps nothing from going on, with sequences: "${sequences}"`, async () => {
    const target = await newDatabase('postgresql')
    await (await openOrm(target)).close()
    const look = await secondLook(target)
    await look.rows(`grant all on all tables in schema public to ${USER}`)
    await look.rows(`grant all on all sequences in schema public to ${USER}`)
    await look.rows('create schema of_others')
    await look.rows('create table of_others.queue (id serial, place int unique deferrable initially deferred)')
    const url = Object.assign(new URL(target), { username: USER, password: 'secret' }).href
    const registry = new EngineRegistry({
      writer: await openOrm(url, { hasSchema: true }),
      logger: { orm: await openOrm(url, { hasSchema: true }), commit: 'autonomous' },
    })
    const sandbox = await createSandbox(registry, { sequences })
    await sandbox.begin()
    const failed = await rejection(
      registry.run(async ({ dbSession: { writer, logger } }) => {
        await writer.insert(Author, { name: 'undone' })
        logger.create(Author, { name: 'entry' })
        await logger.flush()
        throw new Error('meant')
      }),
    )
    assert.equal(failed.message, 'meant')
    assert.deepEqual(
      await registry.run(async ({ dbSession }) => (await dbSession.writer.find(Author, {})).map(({ name }) => name)),
      ['entry'],
    )
    await sandbox.close()
    await registry.close()
    await look.rows(`drop owned by ${USER}`)
    await look.close()
  })
}

test('a sandbox that cannot begin gives its connection back', async () => {
  const target = await newDatabase('postgresql')
  await (await openOrm(target)).close()
  const look = await secondLook(target)
  await look.rows('revoke select on pg_sequences from public')
  const url = Object.assign(new URL(target), { username: USER, password: 'secret' }).href
  const registry = new EngineRegistry({ writer: await openOrm(url, { hasSchema: true, poolMax: 1 }) })
  const sandbox = await createSandbox(registry, { sequences: 'restore' })
  await sandbox.begin()
  for (let count = 0; count < 2; count++) {
    const { message } = await rejection(registry.run(({ dbSession }) => dbSession.writer.count(Author)))
    assert.match(message, /permission denied for view pg_sequences/)
  }
  await sandbox.close()
  await registry.close()
  await look.close()
})

test.run()
