/** Streams of a session: they end with it, however it ends, and a statement inside the loop over one does not wait for it. */
import * as assert from 'uvu/assert'
import { EngineRegistry } from '../../source/index.ts'
import { Author } from '../support/entities.ts'
import { ormsIdle } from '../support/leaks.ts'
import { DIALECTS, newDatabase, openOrm, type Dialect, type TestOrm } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import { secondLook } from '../support/second-look.ts'
import { suite } from '../support/suite.ts'

/** More than two chunks of MikroORM's. */
const ROWS = 250

const ROLES = {
  'readOnly: true': { readOnly: true },
  "readOnly: 'snapshot'": { readOnly: 'snapshot' },
  joined: {},
  autonomous: { commit: 'autonomous' },
  autocommit: { commit: 'autocommit' },
  disabled: {},
} as const
type Role = keyof typeof ROLES

const WAYS: Record<string, (em: any) => AsyncIterableIterator<unknown>> = {
  'em.stream()': (em) => em.stream(Author),
  'qb.stream()': (em) => em.createQueryBuilder(Author).stream(),
  Kysely: (em) => em.getKysely().selectFrom('author').selectAll().stream(100),
  'em.getConnection().stream()': (em) => em.getConnection().stream('select * from author'),
}

interface World {
  orm: TestOrm
}

for (const dialect of DIALECTS) {
  const test = suite<World>(`streams of sessions on ${dialect}`)

  test.before(async (world) => {
    const target = await newDatabase(dialect)
    world.orm = await openOrm(target, { poolMax: 1 })
    const look = await secondLook(target)
    const numbers = `with recursive n (i) as (select 1 union all select i + 1 from n where i < ${ROWS})`
    const insert = `insert into author (name)`
    const select = `select 'name ' || i from n`
    await look.rows(dialect === 'sqlite' ? `${numbers} ${insert} ${select}` : `${insert} ${numbers} ${select}`)
    await look.close()
  })

  /** A registry over the ORM, which has one connection and was closed with the registry before. */
  async function open({ orm }: World, role: Role) {
    await orm.connect()
    const options = { recover: false, disableTransaction: role === 'disabled' } as const
    const registry = new EngineRegistry<any>({ role: { orm, ...ROLES[role] } }, options)
    return { orm, registry }
  }

  async function idle(orm: TestOrm): Promise<void> {
    await ormsIdle(orm)
  }

  for (const role of Object.keys(ROLES) as Role[]) {
    for (const [way, stream] of Object.entries(WAYS)) {
      test(`a stream of a ${role} role by ${way} that nobody reads on ends with its unit, and says so`, async (world) => {
        const { orm, registry } = await open(world, role)
        const left = await registry.run(async ({ dbSession }: any) => {
          const rows = stream(dbSession.role)
          await rows.next()
          return rows
        })
        await idle(orm)
        assert.is(await registry.run(({ dbSession }: any) => dbSession.role.count(Author)), ROWS)
        assert.is(await codeOf(drain(left)), 'SQLASSIST_SESSION_ENDED')
        await registry.close()
      })
    }

    test(`a stream of a ${role} role ends with the session that its caller closes`, async (world) => {
      const { orm, registry } = await open(world, role)
      const em: any = registry.session('role')
      const rows = em.stream(Author)
      await rows.next()
      await em.close()
      await idle(orm)
      assert.is(await codeOf(drain(rows)), 'SQLASSIST_SESSION_ENDED')
      await registry.close()
    })

    if (refuses(dialect, role)) continue
    if (!role.startsWith('readOnly')) {
      test(`a stream that nobody reads on does not keep its nested transaction of a ${role} role from its end`, async (world) => {
        const { orm, registry } = await open(world, role)
        for (const fails of [false, true]) {
          const run = registry.run(async ({ dbSession }: any) => {
            await dbSession.role.transactional(async (em: any) => {
              await em.stream(Author).next()
              if (fails) throw new RangeError('undo')
            })
            return await dbSession.role.count(Author)
          })
          if (fails) assert.instance(await rejection(run), RangeError)
          else assert.is(await run, ROWS)
        }
        await idle(orm)
        await registry.close()
      })
    }

    test(`a read inside the loop over one of a ${role} role works with one connection`, async (world) => {
      const { orm, registry } = await open(world, role)
      const read = await registry.run(async ({ dbSession: { role: em } }: any) => {
        let counted = 0
        for await (const { id } of em.stream(Author)) counted += await em.count(Author, { id })
        return counted
      })
      assert.is(read, ROWS)
      await idle(orm)
      await registry.close()
    })
  }

  test('a stream inside the loop over another one, and a read there that fails and is caught, leave that one whole', async (world) => {
    const { orm, registry } = await open(world, 'readOnly: true')
    const read = await registry.run(async ({ dbSession: { role: em } }: any) => {
      let outer = 0
      for await (const { id } of em.stream(Author)) {
        for await (const inner of em.stream(Author, { where: { id } })) assert.is(inner.id, id)
        await rejection(em.execute('select nonsense from author'))
        outer++
      }
      return outer
    })
    assert.is(read, ROWS)
    await idle(orm)
    await registry.close()
  })

  if (dialect === 'postgresql') {
    test('a statement inside the loop over one of an autocommit role is refused where it would wait for ever', async (world) => {
      const { orm, registry } = await open(world, 'autocommit')
      let error: (Error & { code?: string }) | undefined
      await registry.run(async ({ dbSession: { role: em } }: any) => {
        for await (const _ of em.stream(Author)) error ??= await rejection(em.count(Author))
      })
      assert.is(error?.code, 'SQLASSIST_STREAM_UNDER_WAY')
      assert.match(error?.message ?? '', /Collect the rows first.*readOnly: 'snapshot'/)
      await idle(orm)
      await registry.close()
    })

    test('a stream of a transaction that em.commit() ended sends nothing over the connection, which is in other hands', async (world) => {
      const { registry } = await open(world, 'disabled')
      const [one, other]: any[] = [registry.session('role'), registry.session('role')]
      const rows = one.stream(Author)
      await rows.next()
      await one.commit()
      const others = other.stream(Author)
      await others.next()
      assert.is(await codeOf(drain(rows)), 'SQLASSIST_SESSION_ENDED')
      assert.is(await drain(others), ROWS - 1)
      await one.close()
      await other.close()
      await registry.close()
    })
  }

  test.run()
}

/** MikroORM streams past the session there, over its own client. */
function refuses(dialect: Dialect, role: Role): boolean {
  return dialect === 'postgresql' && role === 'autocommit'
}

async function drain(rows: AsyncIterable<unknown>): Promise<number> {
  let count = 0
  for await (const _ of rows) count++
  return count
}

async function codeOf(work: Promise<unknown>): Promise<unknown> {
  return ((await rejection(work)) as { code?: unknown }).code
}
