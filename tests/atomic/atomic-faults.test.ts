/** A fault at each step of a commit over several databases, and what is then in each of them. */
import * as assert from 'uvu/assert'
import {
  CommitFencedError,
  CommitOutcomeUnknownError,
  ConnectionLostError,
  isRetryable,
  type EngineOptions,
  type EngineRegistry,
} from '../../source/index.ts'
import { Author } from '../support/entities.ts'
import { ormsIdle } from '../support/leaks.ts'
import { rejection } from '../support/rejection.ts'
import { addIn, decisionsIn, has, preparedIn, SeveralDatabases } from '../support/several-databases.ts'
import { suite } from '../support/suite.ts'
import { until } from '../support/until.ts'
import { warnings } from '../support/warnings.ts'

type Registry = EngineRegistry<Record<string, EngineOptions>>

interface World {
  several: SeveralDatabases
  registry: Registry
}

interface Fault {
  readonly title: string
  /** The roles that change; the default role is `writer`. */
  readonly roles: readonly string[]
  /** Sets the trap; what it returns runs when the commit is over. */
  readonly arrange: (several: SeveralDatabases) => Promise<(() => Promise<void>) | void> | (() => Promise<void>) | void
  /** Undefined: the commit succeeds. */
  readonly error?: (error: Error & { code?: string }) => void
  readonly committed: boolean
  /** How many stay prepared until recovery. */
  readonly left?: number
  readonly warning?: string
}

const PREPARE = /prepare transaction/
const DECISION = /insert into public\.sqlassist_decision .*'commit'/
const COMMIT_PREPARED = /^commit prepared/

const lost = (role: string) => (error: Error) => {
  assert.instance(error, ConnectionLostError)
  assert.match(error.message, new RegExp(`"${role}"`))
}
const wire = (several: SeveralDatabases, role: string) => several.place(role).wire!

/** A deferred trigger, which fails when the transaction is to end. */
const refuseAtTheEnd = (role: string) => async (several: SeveralDatabases) => {
  const { look } = several.place(role)
  await look.rows(`create or replace function refuse() returns trigger language plpgsql as
    $$ begin raise exception 'refused at the end' using errcode = 'ZZ001'; end $$`)
  await look.rows(`create constraint trigger refusing after insert on author deferrable initially deferred
    for each row execute function refuse()`)
  return async () => void (await look.rows('drop trigger refusing on author'))
}
const refused = ({ code }: { code?: string }) => assert.is(code, 'ZZ001')

const FAULTS: Fault[] = [
  ...['a', 'writer', 'z'].map((role) => ({
    title: `${role} refuses at the end`,
    roles: ['a', 'writer', 'z'],
    arrange: refuseAtTheEnd(role),
    error: refused,
    committed: false,
  })),
  {
    title: 'both that are prepared refuse: the first error is thrown and the other reported',
    roles: ['a', 'writer', 'z'],
    async arrange(several) {
      const undo = [await refuseAtTheEnd('a')(several), await refuseAtTheEnd('z')(several)]
      return async () => {
        for (const each of undo) await each()
      }
    },
    error: refused,
    committed: false,
    warning: 'SQLASSIST_SUPPRESSED_ERROR',
  },
  {
    title: 'PREPARE never arrives',
    roles: ['a', 'writer', 'z'],
    arrange: (several) => void wire(several, 'a').cut(PREPARE, 'before'),
    error: lost('a'),
    committed: false,
  },
  {
    title: 'the answer to PREPARE is lost',
    roles: ['a', 'writer', 'z'],
    arrange: (several) => void wire(several, 'a').cut(PREPARE, 'after'),
    error: lost('a'),
    committed: false,
  },
  {
    title: 'the answer to PREPARE is lost, and nobody gets through any more: left to recovery',
    roles: ['a', 'writer', 'z'],
    async arrange(several) {
      const proxy = wire(several, 'a')
      void proxy.cut(PREPARE, 'after').done.then(() => proxy.down())
      return () => proxy.up()
    },
    error: lost('a'),
    committed: false,
    left: 1,
    warning: 'SQLASSIST_LEFT_PREPARED',
  },
  {
    title: 'the decision never arrives',
    roles: ['a', 'writer', 'z'],
    arrange: (several) => void wire(several, 'writer').cut(DECISION, 'before'),
    error: lost('writer'),
    committed: false,
  },
  {
    title: 'the answer to the decision is lost: it is asked for, and the commit goes on',
    roles: ['a', 'writer', 'z'],
    arrange: (several) => void wire(several, 'writer').cut(DECISION, 'after'),
    committed: true,
  },
  {
    title: 'the answer to the decision is lost, and the server comes back a moment later',
    roles: ['a', 'writer'],
    async arrange(several) {
      const proxy = wire(several, 'writer')
      void proxy.cut(DECISION, 'after').done.then(async () => {
        await proxy.down()
        setTimeout(() => void proxy.up(), 30)
      })
    },
    committed: true,
  },
  {
    title: 'the connection of the commit point is lost while the others are prepared',
    roles: ['a', 'writer', 'z'],
    async arrange(several) {
      const held = wire(several, 'a').hold(PREPARE, 'answer')
      void held.reached.then(() => {
        wire(several, 'writer').cutAll()
        setTimeout(() => held.release(), 20)
      })
    },
    error: lost('writer'),
    committed: false,
  },
  {
    title: 'the connection over which it was prepared is lost before the decision',
    roles: ['a', 'writer', 'z'],
    async arrange(several) {
      const held = wire(several, 'writer').hold(DECISION, 'request')
      void held.reached.then(() => {
        wire(several, 'a').cutAll()
        held.release()
      })
    },
    committed: true,
  },
  {
    title: 'COMMIT PREPARED never arrives: it is sent again',
    roles: ['a', 'writer', 'z'],
    arrange: (several) => void wire(several, 'a').cut(COMMIT_PREPARED, 'before'),
    committed: true,
  },
  {
    title: 'the answer to COMMIT PREPARED is lost',
    roles: ['a', 'writer', 'z'],
    arrange: (several) => void wire(several, 'a').cut(COMMIT_PREPARED, 'after'),
    committed: true,
  },
  {
    title: 'nobody gets through for COMMIT PREPARED: the request has succeeded, and recovery commits',
    roles: ['a', 'writer', 'z'],
    async arrange(several) {
      const proxy = wire(several, 'a')
      void proxy.cut(COMMIT_PREPARED, 'before').done.then(() => proxy.down())
      return () => proxy.up()
    },
    committed: true,
    left: 1,
    warning: 'SQLASSIST_LEFT_PREPARED',
  },
  {
    title: 'ROLLBACK PREPARED never arrives: it is sent again',
    roles: ['a', 'writer'],
    async arrange(several) {
      wire(several, 'a').cut(/^rollback prepared/, 'before')
      return await refuseAtTheEnd('writer')(several)
    },
    error: refused,
    committed: false,
  },
  {
    title: 'with SQLite: PREPARE never arrives',
    roles: ['a', 'file'],
    arrange: (several) => void wire(several, 'a').cut(PREPARE, 'before'),
    error: lost('a'),
    committed: false,
  },
  {
    title: 'with SQLite: the decision cannot be committed',
    roles: ['a', 'file'],
    async arrange(several) {
      const handle: any = await several.place('file').orm.em.getConnection().getNativeClient()
      // Its foreign keys are checked at COMMIT.
      handle.exec(`create temp trigger refusing after insert on sqlassist_decision
        begin select raise(abort, 'refused at the end'); end`)
      return async () => handle.exec('drop trigger refusing')
    },
    error: (error) => assert.match(error.message, /refused at the end/),
    committed: false,
  },
  {
    title: 'with SQLite: COMMIT PREPARED never arrives, and it is sent again',
    roles: ['a', 'file', 'z'],
    arrange: (several) => void wire(several, 'z').cut(COMMIT_PREPARED, 'before'),
    committed: true,
  },
]

const test = suite<World>('faults in a commit over several databases')

test.before(async (world) => {
  world.several = await SeveralDatabases.open({
    a: 'postgresql',
    writer: 'postgresql',
    z: 'postgresql',
    file: 'sqlite',
  })
  world.registry = await world.several.warmRegistry()
})
test.before.each(async ({ several }) => await several.reset())
test.after.each(async ({ several }) => await ormsIdle(...several.places.map(({ orm }) => orm)))
test.after(async ({ several, registry }) => {
  await registry.close()
  await several.close()
})

/** In how many of the roles it is; it has to be all or none. */
async function inAll(several: SeveralDatabases, roles: readonly string[], name: string): Promise<boolean> {
  const counts = await Promise.all(roles.map((role) => has(several.place(role), name)))
  assert.ok(new Set(counts).size === 1, `${roles.join()}: ${counts.join()}`)
  return counts[0] === 1
}

async function allPrepared(several: SeveralDatabases): Promise<string[]> {
  return (await Promise.all(several.places.map(preparedIn))).flat()
}

for (const { title, roles, arrange, error, committed, left = 0, warning } of FAULTS) {
  test(title, async ({ several, registry }) => {
    const undo = await arrange(several)
    let outcome: unknown
    const seen = await warnings(warning ?? 'none', async () => {
      outcome = await addIn(registry, roles, title).catch((thrown: unknown) => thrown)
    })
    await undo?.()
    if (error === undefined) assert.is(outcome, undefined, String(outcome))
    else {
      assert.instance(outcome, Error, 'the commit was to fail')
      error(outcome as Error)
    }
    if (warning !== undefined) assert.ok(seen.length > 0, `no warning ${warning}`)
    const prepared = await allPrepared(several)
    assert.is(prepared.length, left, prepared.join())
    if (left > 0) {
      const report = await registry.recover({ graceMs: 0 })
      assert.is((committed ? report.committed : report.rolledBack).length, left)
      assert.equal(report.left, [])
      assert.equal(await allPrepared(several), [])
    }
    assert.is(await inAll(several, roles, title), committed)
    // The databases are free again, and the registry works.
    await addIn(registry, roles, 'afterwards')
    assert.is(await inAll(several, roles, 'afterwards'), true)
  })
}

test('the answer to the decision is lost and nobody can be asked: unknown, left, and recovery commits what was committed', async ({
  several,
  registry,
}) => {
  const proxy = several.place('writer').wire!
  const running = rejection(
    registry.run(async ({ dbSession, txn }: any) => {
      for (const role of ['a', 'writer', 'z']) await dbSession.get(role).insert(Author, { name: 'unknown' })
      txn.addBeforeCommitHook(() => void proxy.cut(DECISION, 'after').done.then(() => proxy.down()))
    }),
  )
  const error = await running
  assert.instance(error, CommitOutcomeUnknownError)
  assert.is((await allPrepared(several)).length, 2, 'nothing is guessed')
  const blind = await registry.recover({ graceMs: 0 })
  assert.equal([blind.committed, blind.rolledBack], [[], []])
  assert.ok(blind.left.some(({ reason }) => /"writer" could not be asked/.test(reason)))
  assert.is((await allPrepared(several)).length, 2)
  await proxy.up()
  const report = await registry.recover({ graceMs: 0 })
  assert.equal(report.committed.map(({ role }) => role).toSorted(), ['a', 'z'])
  assert.equal([report.rolledBack, report.left], [[], []])
  assert.is(await inAll(several, ['a', 'writer', 'z'], 'unknown'), true)
})

test('the answer to the decision is lost, and before anybody asks recovery has finished it and removed the decision: committed', async ({
  several,
  registry,
}) => {
  const elsewhere = await SeveralDatabases.again(several, ['a', 'writer', 'z'], {}, {}, true)
  const proxy = several.place('writer').wire!
  proxy.cut(DECISION, 'after')
  const asking = proxy.hold(/insert into public\.sqlassist_decision .*'abort'/, 'request')
  const running = addIn(registry, ['a', 'writer', 'z'], 'finished by others')
  await asking.reached
  await elsewhere.registry.recover({ graceMs: 0 })
  await elsewhere.registry.recover({ graceMs: 0 })
  assert.equal(await decisionsIn(several.place('writer')), [])
  asking.release()
  await running
  await elsewhere.close()
  assert.is(await inAll(several, ['a', 'writer', 'z'], 'finished by others'), true)
})

test('the decision never arrived, and recovery looks while that is found out: rolled back, and not said to be committed', async ({
  several,
  registry,
}) => {
  const elsewhere = await SeveralDatabases.again(several, ['a', 'writer'], {}, {}, true)
  const [a, writer] = ['a', 'writer'].map((role) => several.place(role))
  writer!.wire!.cut(DECISION, 'before')
  const asking = a!.wire!.hold(/^select from pg_prepared_xacts/, 'request')
  const running = rejection(addIn(registry, ['a', 'writer'], 'never arrived'))
  await asking.reached
  const recovering = elsewhere.registry.recover({ graceMs: 0 })
  const waits = `select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like '%''abort''%'`
  await until(async () => (await writer!.look.rows(waits)).length > 0 || (await preparedIn(a!)).length === 0)
  asking.release()
  assert.instance(await running, ConnectionLostError)
  await recovering
  await elsewhere.close()
  assert.equal(await allPrepared(several), [])
  assert.is(await inAll(several, ['a', 'writer'], 'never arrived'), false)
})

test('recovery that finds no decision fences it off: the slow commit aborts, may be tried again, and nothing is stored', async ({
  several,
  registry,
}) => {
  const held = several.place('writer').wire!.hold(DECISION, 'request')
  const running = rejection(addIn(registry, ['a', 'writer', 'z'], 'slow'))
  await held.reached
  const report = await registry.recover({ graceMs: 0 })
  assert.equal(report.rolledBack.map(({ role }) => role).toSorted(), ['a', 'z'])
  held.release()
  const error = await running
  assert.instance(error, CommitFencedError)
  assert.ok(isRetryable(error))
  assert.is(await inAll(several, ['a', 'writer', 'z'], 'slow'), false)
  assert.equal(await decisionsIn(several.place('writer')), ['abort'])
})

test('recovery that meets a decision under way waits for it, and commits', async ({ several, registry }) => {
  const writer = several.place('writer')
  await writer.look.rows(`create or replace function wait_for_key() returns trigger language plpgsql as
    $$ begin perform pg_advisory_xact_lock(77); return new; end $$`)
  await writer.look.rows(`create constraint trigger waiting after insert on sqlassist_decision
    deferrable initially deferred for each row when (new.decision = 'commit') execute function wait_for_key()`)
  await writer.look.rows('select pg_advisory_lock(77)')
  const running = addIn(registry, ['a', 'writer'], 'under way')
  await until(
    async () => (await writer.look.rows(`select 1 from pg_locks where objid = 77 and not granted`)).length > 0,
  )
  const recovering = registry.recover({ graceMs: 0 })
  const waitsForKey = `select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like '%''abort''%'`
  await until(async () => (await writer.look.rows(waitsForKey)).length > 0)
  await writer.look.rows('select pg_advisory_unlock(77)')
  await writer.look.rows('drop trigger waiting on sqlassist_decision')
  await running
  const report = await recovering
  assert.equal(report.rolledBack, [])
  assert.is(await inAll(several, ['a', 'writer'], 'under way'), true)
})

test('with SQLite as commit point recovery waits for its lock, and says so when it is not to be had', async ({
  several,
  registry,
}) => {
  const file = several.place('file')
  // As another process has it: with a handle of its own.
  const elsewhere = await SeveralDatabases.again(several, ['a', 'file'], { file: { driverOptions: { timeout: 20 } } })
  const held = several.place('a').wire!.hold(PREPARE, 'answer')
  const running = addIn(registry, ['a', 'file'], 'slow')
  await held.reached
  const report = await elsewhere.registry.recover({ graceMs: 0 })
  assert.equal([report.committed, report.rolledBack], [[], []])
  assert.match(report.left[0]!.reason, /"file".*(busy|locked)/s)
  held.release()
  await running
  await elsewhere.close()
  assert.is(await inAll(several, ['a', 'file'], 'slow'), true)
  assert.equal(await decisionsIn(file), ['commit'])
})

test('a resource that fails in its vote comes before all sessions: nothing was prepared yet', async ({
  several,
  registry,
}) => {
  const error = await rejection(
    registry.run(async ({ dbSession, txn }: any) => {
      for (const role of ['a', 'writer']) await dbSession.get(role).insert(Author, { name: 'never' })
      const nothing = () => undefined
      txn.join({
        sortKey: () => 'mailer',
        abort: nothing,
        tpcBegin: nothing,
        commit: nothing,
        tpcVote() {
          throw new Error('no')
        },
        tpcFinish: nothing,
        tpcAbort: nothing,
      })
    }),
  )
  assert.is(error.message, 'no')
  assert.not.ok(
    several
      .place('a')
      .wire!.sql()
      .some((sql) => PREPARE.test(sql)),
  )
  assert.is(await inAll(several, ['a', 'writer'], 'never'), false)
})

test('a resource that fails after the sessions finds them committed: all of them stay so, and it is reported', async ({
  several,
  registry,
}) => {
  const seen = await warnings('SQLASSIST_SUPPRESSED_ERROR', async () => {
    const error = await rejection(
      registry.run(async ({ dbSession, txn }: any) => {
        for (const role of ['a', 'writer']) await dbSession.get(role).insert(Author, { name: 'too late' })
        const nothing = () => undefined
        txn.join({
          sortKey: () => '~~later',
          abort: nothing,
          tpcBegin: nothing,
          commit: nothing,
          tpcVote() {
            throw new Error('no')
          },
          tpcFinish: nothing,
          tpcAbort: nothing,
        })
      }),
    )
    assert.is(error.message, 'no')
  })
  assert.ok(
    seen.some(({ message, detail }) => /had committed already/.test(`${message}${detail}`)),
    String(seen),
  )
  assert.is(await inAll(several, ['a', 'writer'], 'too late'), true)
  assert.equal(await allPrepared(several), [])
})

test.run()
