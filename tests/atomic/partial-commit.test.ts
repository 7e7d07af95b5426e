/** Sessions that commit one after the other, and one of them fails: the error names what became of each. */
import * as assert from 'uvu/assert'
import { CommitOutcomeUnknownError, NotRetriedError, PartialCommitError } from '../../source/index.ts'
import { Author } from '../support/entities.ts'
import { rejection } from '../support/rejection.ts'
import { addIn, has, SeveralDatabases } from '../support/several-databases.ts'
import { suite } from '../support/suite.ts'
import { warnings } from '../support/warnings.ts'

const test = suite<{ several: SeveralDatabases }>('a commit of several sessions, one after the other')

test.before(async (world) => {
  world.several = await SeveralDatabases.open({ a: 'postgresql', writer: 'postgresql', c: 'postgresql' })
  for (const { look } of world.several.places) {
    await look.rows(`create function refuse() returns trigger language plpgsql as $$ begin
      if new.name = 'again' then raise exception 'again' using errcode = '40001'; end if; return null; end $$`)
    await look.rows(`create constraint trigger refusing after insert on author deferrable initially deferred
      for each row execute function refuse()`)
  }
})
test.before.each(({ several }) => several.reset())
test.after(({ several }) => several.close())

const ROLES = ['a', 'writer', 'c']
const plain = { twoPhase: false }
/** Both ways in which several sessions commit without being one. */
const WAYS = {
  'transactions are disabled': [{ disableTransaction: true }, {}],
  'no database may prepare': [{}, { a: plain, writer: plain, c: plain }],
} as const

const lists = ({ committed, rolledBack, unknown }: PartialCommitError) => [committed, rolledBack, unknown]

for (const [way, [options, engines]] of Object.entries(WAYS)) {
  const registryOf = (several: SeveralDatabases) => several.registry(options, engines)
  async function quietly(work: () => Promise<void>): Promise<void> {
    await warnings('SQLASSIST_NOT_ATOMIC', work)
  }

  for (const [position, role] of ROLES.entries()) {
    test(`${way}: of ${role}, whose answer to COMMIT was lost, nobody says that it was rolled back`, async ({
      several,
    }) => {
      await quietly(async () => {
        // The default role comes last where it is the commit point.
        const registry = registryOf(several)
        several.place(role).wire!.cut(/^commit/, 'after')
        const error = (await rejection(addIn(registry, ROLES, 'x'))) as PartialCommitError
        assert.instance(error, PartialCommitError)
        assert.instance(error.cause, CommitOutcomeUnknownError)
        assert.equal(error.unknown, [role])
        for (const each of ROLES) {
          const stored = await has(several.place(each), 'x')
          assert.is(error.committed.includes(each), stored === 1 && each !== role, `${each} at ${position}`)
          assert.is(error.rolledBack.includes(each), stored === 0, each)
        }
        assert.match(error.message, new RegExp(`Unknown, look there for what was written: "${role}"\\.`))
      })
    })
  }

  test(`${way}: the error of one that fails after another has committed says so, and the work is not done again`, async ({
    several,
  }) => {
    await quietly(async () => {
      let attempts = 0
      const work = async ({ dbSession }: any): Promise<void> => {
        attempts++
        for (const role of ['a', 'c']) await dbSession.get(role).insert(Author, { name: role === 'c' ? 'again' : 'x' })
      }
      const partial = (await rejection(registryOf(several).run(work))) as PartialCommitError
      assert.instance(partial, PartialCommitError)
      assert.equal(lists(partial), [['a'], ['c'], []])
      const error = (await rejection(registryOf(several).run(work, { attempts: 2 }))) as NotRetriedError
      assert.instance(error, NotRetriedError)
      assert.is((error.cause as { code?: string }).code, '40001')
      assert.match(error.message, /it is committed in part \("a"; unknown: none\)/)
      assert.is(attempts, 2)
    })
  })

  test(`${way}: what fails before anything is committed is that error, and done again`, async ({ several }) => {
    await quietly(async () => {
      const names = ['again', 'stored']
      const work = async ({ dbSession }: any): Promise<void> => {
        await dbSession.a.insert(Author, { name: names.shift() })
        await dbSession.c.insert(Author, { name: 'x' })
      }
      await registryOf(several).run(work, { attempts: 2 })
      assert.is(await has(several.place('a'), 'stored'), 1)
      assert.is(await has(several.place('c'), 'x'), 1)
    })
  })
}

test('a role that only read is not said to be committed', async ({ several }) => {
  const registry = several.registry({ disableTransaction: true })
  const error = await rejection(
    registry.run(async ({ dbSession }: any) => {
      await dbSession.a.count(Author)
      await dbSession.c.insert(Author, { name: 'again' })
    }),
  )
  assert.is((error as { code?: string }).code, '40001')
})

test.run()
