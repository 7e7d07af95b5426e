/** Random requests in a sandbox and with real commits: the same answers, rows with the same ids, and hooks. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { markChanged } from '../../source/index.ts'
import { Author, Book } from '../support/entities.ts'
import { DIALECTS, type Dialect } from '../support/orms.ts'
import { suite } from '../support/suite.ts'
import { TwinSide } from './twin.ts'

const SCENARIOS = 200
/** A test of all of them would take long for one test. */
const IN_ONE_TEST = 25
const SEED = Number(process.env['FAST_CHECK_SEED'] ?? 20261129)
const WRITES = ['insert', 'create', 'update', 'delete', 'count', 'raw', 'marked', 'found', 'book'] as const
const FAILS = ['fail', 'caught', 'caught flush', 'read', 'failing read'] as const
const ON_POSTGRES = ['function', 'several', 'twice', 'put right'] as const
const PLAIN = ['hook', 'commit', 'abort', 'doom', 'flush'] as const
const ROLES = ['writer', 'audit', 'logger', 'trail'] as const
type Role = (typeof ROLES)[number]
type Simple = (typeof WRITES)[number] | (typeof FAILS)[number] | (typeof ON_POSTGRES)[number]

interface Steps {
  readonly steps: readonly Step[]
  /** Whether it goes on behind an error. */
  readonly goesOn: boolean
  /** Whether it throws at its end. */
  readonly throws: boolean
}

type Step =
  | { readonly does: 'simple'; readonly what: Simple; readonly role: Role }
  | { readonly does: (typeof PLAIN)[number] }
  | ({ readonly does: 'nest'; readonly role: Role } & Steps)
  | ({ readonly does: 'savepoint' | 'run' } & Steps)
  | ({ readonly does: 'own savepoint'; readonly role: Role; readonly name: string; readonly ends: string } & Steps)

interface Request extends Steps {
  /** Whether its first attempt fails. */
  readonly again: boolean
}

const goesOn = fc.boolean()
const throws = fc.boolean()

/** A run inside of a request that holds SQLite's only connection would wait for itself. */
function stepsFor(dialect: Dialect, depth: number, maxLength: number): fc.Arbitrary<Step[]> {
  const isPostgres = dialect === 'postgresql'
  const role = fc.constantFrom(...ROLES, 'writer' as const)
  const simple = fc.record({
    does: fc.constant('simple' as const),
    what: fc.constantFrom(...WRITES, ...WRITES, ...FAILS, ...(isPostgres ? ON_POSTGRES : [])),
    role,
  })
  if (depth === 0) return fc.array(simple, { maxLength })
  const inside = { steps: stepsFor(dialect, depth - 1, 3), goesOn, throws }
  const ends = fc.constantFrom('rollback to', 'release', '')
  const own = { does: fc.constant('own savepoint' as const), role, name: fc.constantFrom('a', 'b'), ends, ...inside }
  const all: fc.WeightedArbitrary<Step>[] = [
    { weight: 8, arbitrary: simple },
    { weight: 1, arbitrary: fc.record({ does: fc.constantFrom(...PLAIN) }) },
    { weight: 1, arbitrary: fc.record({ does: fc.constant('nest' as const), role, ...inside }) },
    { weight: 1, arbitrary: fc.record({ does: fc.constant('savepoint' as const), ...inside }) },
    { weight: 1, arbitrary: fc.record(own) },
  ]
  if (isPostgres) all.push({ weight: 2, arbitrary: fc.record({ does: fc.constant('run' as const), ...inside }) })
  return fc.array(fc.oneof(...all), { minLength: 1, maxLength })
}

/** Where steps are carried out. */
interface Place extends Pick<Steps, 'goesOn'> {
  readonly get: (role: string) => any
  readonly txn: any
  /** How many runs are around it. */
  readonly depth: number
}

class Player {
  readonly #side: TwinSide
  #count = 0
  readonly log: string[] = []

  constructor(side: TwinSide) {
    this.#side = side
  }

  async play(request: Request): Promise<void> {
    let isAgain = false
    const options = request.again ? { attempts: 2 } : undefined
    const { status } = await this.#side.request(async ({ dbSession, txn }) => {
      await this.#all(request, { get: (role) => dbSession.get(role), txn, depth: 0, goesOn: request.goesOn })
      if (!request.again || isAgain) return
      isAgain = true
      throw Object.assign(new Error('again'), { code: '40001' })
    }, options)
    this.log.push(`answered ${status}`)
  }

  async #all({ steps, throws: fails }: Steps, place: Place): Promise<void> {
    for (const step of steps) {
      try {
        await this.#one(step, place)
      } catch (error) {
        this.log.push(
          `${'what' in step ? step.what : step.does}: ${(error as { code?: string }).code ?? (error as Error).name}`,
        )
        if (!place.goesOn) throw error
      }
    }
    if (fails) throw new Error('at the end')
  }

  async #one(step: Step, place: Place): Promise<unknown> {
    const { get, txn, depth } = place
    switch (step.does) {
      case 'hook':
        return txn.addAfterCommitHook((committed: boolean) => void this.log.push(`hook ${committed}`))
      case 'commit':
      case 'abort':
      case 'doom':
        return await txn[step.does]()
      case 'flush':
        for (const role of ROLES) await get(role).flush()
        return
      case 'run':
        return await this.#side.registry.run(async ({ dbSession, txn: inner }: any) => {
          const own = { get: (role: string) => dbSession.get(role), txn: inner, depth: depth + 1, goesOn: step.goesOn }
          await this.#all(step, own)
        })
      case 'savepoint': {
        const savepoint = await txn.savepoint()
        await this.#all({ ...step, throws: false }, { ...place, goesOn: step.goesOn })
        return step.throws ? await savepoint.rollback() : undefined
      }
      case 'own savepoint':
        await get(step.role).execute(`savepoint ${step.name}`)
        await this.#all(step, { ...place, goesOn: step.goesOn })
        return step.ends === '' ? undefined : await get(step.role).execute(`${step.ends} ${step.name}`)
      case 'nest':
        return await get(step.role).transactional(async (em: any) => {
          const own = (role: string) => (role === step.role ? em : get(role))
          await this.#all(step, { ...place, get: own, goesOn: step.goesOn })
        })
      case 'simple':
        return await this.#simple(step, get, depth)
    }
  }

  async #simple({ what, role }: { readonly what: Simple; readonly role: Role }, get: Place['get'], depth: number) {
    const em = get(role)
    const prefix = `${role} at ${depth}: `
    const name = `${prefix}${++this.#count}`
    // Those of a run inside of the request are not its own: the run would wait for their locks, and the request for the run.
    const own = { name: { $like: `${prefix}%` } }
    const book = { title: name }
    const raw = `insert into author (name) values ('${name}')`
    switch (what) {
      case 'insert':
        return this.log.push(`id ${await em.insert(Author, { name })}`)
      case 'create':
        return em.create(Author, { name })
      case 'update':
        return await em.nativeUpdate(Author, own, { name: `${name} changed` })
      case 'delete':
        return await em.nativeDelete(Author, own)
      case 'count':
        return this.log.push(`${role} counts ${await em.count(Author, own)}`)
      case 'found':
        for (const author of await em.find(Author, own, { orderBy: { id: 'asc' }, limit: 1 })) author.name += ' found'
        return
      case 'book':
        return await em.insert(Book, book)
      case 'raw':
      case 'function':
        return await em.execute(what === 'raw' ? raw : `select test_write('${name}')`)
      case 'several':
        return await em.execute(`${raw}; savepoint c; ${raw}; rollback to c`)
      case 'marked':
        await em.execute(raw)
        return markChanged(em)
      case 'fail':
        return await em.insert(Book, { title: null })
      case 'caught':
      case 'caught flush': {
        const twice = async (nested: any) => {
          for (let count = 0; count < 2; count++)
            await (what === 'caught' ? nested.insert(Book, book) : nested.create(Book, book))
        }
        return await em.transactional(twice).catch((error: any) => this.log.push(`caught ${error.code}`))
      }
      case 'read':
        return this.log.push(`reads ${await get('snapshot').count(Author, { name: 'before' })}`)
      case 'failing read':
        return await get('reader').execute('select nothing from nowhere')
      case 'twice':
        // Where two of them have something to put right at a time, the sandbox does not know which of them has.
        if (role !== 'logger' || depth > 0) return
        await em.execute('insert into later (value) values (1), (1)')
        return markChanged(em)
      case 'put right':
        return await em.execute(`delete from later where ${role === 'logger' && depth === 0}`)
    }
  }
}

for (const dialect of DIALECTS) {
  const test = suite<{ sandbox: TwinSide; real: TwinSide }>(`testing: random scenarios, ${dialect}`)
  const request = fc.record({ steps: stepsFor(dialect, 3, 5), goesOn, throws, again: fc.nat(5).map((n) => n === 0) })

  test.before(async (world) => {
    world.sandbox = await TwinSide.open(dialect, { sequences: 'restore', readAhead: 'allow' })
    world.real = await TwinSide.open(dialect)
    if (dialect === 'sqlite') return
    for (const look of [...world.sandbox.looks, ...world.real.looks]) {
      await look.rows('create table later (value int unique deferrable initially deferred)')
      await look.rows(
        `create function test_write(name text) returns int language sql as $$ insert into author (name) values (name) returning 1 $$`,
      )
    }
  })
  test.after(async ({ sandbox, real }) => {
    await sandbox.close()
    await real.close()
  })

  let replayed = 0
  for (let first = 0; first < SCENARIOS; first += IN_ONE_TEST) {
    test(`scenarios ${first + 1} to ${first + IN_ONE_TEST} of ${SCENARIOS} come out the same`, async ({
      sandbox,
      real,
    }) => {
      const scenario = async (requests: readonly Request[]): Promise<void> => {
        await real.clear()
        const players = [new Player(real), new Player(sandbox)] as const
        await sandbox.sandbox!.begin()
        try {
          for (const one of requests) for (const player of players) await player.play(one)
          assert.deepEqual(players[1].log, players[0].log)
          assert.deepEqual(await sandbox.rows(), await real.rows())
          replayed += sandbox.sandbox!.report().replayed
        } finally {
          await sandbox.sandbox!.rollback()
        }
      }
      await fc.assert(fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 2 }), scenario), {
        numRuns: IN_ONE_TEST,
        seed: SEED + first,
      })
      assert.equal(await sandbox.stored(), 0)
    })
  }

  if (dialect === 'postgresql') {
    test('some of them overlap, so that work was done again', () => assert.ok(replayed > 20, `${replayed} steps`))
  }
  test.run()
}
