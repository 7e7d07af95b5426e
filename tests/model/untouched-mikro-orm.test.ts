/** The library changes nothing of MikroORM's classes: not when it is imported, and not once a naming strategy is in place. */
import { execFileSync } from 'node:child_process'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import * as core from '@mikro-orm/core'
import { MikroORM } from '@mikro-orm/sqlite'
import * as assert from 'uvu/assert'
import { ConventionNamingStrategy, EngineRegistry } from '../../source/index.ts'
import { Author, ENTITIES } from '../support/entities.ts'
import { suite } from '../support/suite.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** Prints which members of MikroORM's classes are others after the library was imported. */
const PROGRAM = `
  const members = (modules) => modules.flatMap((module) => Object.values(module)).flatMap((value) =>
    typeof value === 'function' ? [value, value.prototype].filter(Boolean).flatMap((owner) =>
      Object.entries(Object.getOwnPropertyDescriptors(owner)).map(([name, { value, get }]) => [owner, name, value ?? get])) : [])
  const modules = [await import('@mikro-orm/core'), await import('@mikro-orm/sql'), await import('kysely')]
  const before = members(modules)
  await import('./source/index.ts')
  await import('./source/debug/index.ts')
  await import('./source/testing/index.ts')
  const after = members(modules)
  const changed = before.filter(([owner, name, value], i) => after[i][0] !== owner || after[i][2] !== value)
  console.log(JSON.stringify([before.length > 1000, before.length === after.length, changed.map(([, name]) => name)]))
`

const test = suite("MikroORM's classes")

test('are as they were after the library is imported', () => {
  const out = execFileSync(process.execPath, ['--no-warnings', '--input-type=module', '--eval', PROGRAM], {
    cwd: ROOT,
    encoding: 'utf8',
  })
  assert.equal(JSON.parse(out), [true, true, []])
})

test('are as they were once ORMs with the naming convention serve a registry', async () => {
  const { getNamingStrategy } = core.Configuration.prototype
  const orms = await Promise.all(
    [1, 2].map(() =>
      MikroORM.init({ entities: ENTITIES, dbName: ':memory:', namingStrategy: ConventionNamingStrategy }),
    ),
  )
  for (const orm of orms) await orm.schema.create()
  await using registry = new EngineRegistry({ writer: orms[0]!, other: orms[1]! })
  await registry.run(({ dbSession }) => dbSession.writer.count(Author))
  assert.is(core.Configuration.prototype.getNamingStrategy, getNamingStrategy)
})

test.run()
