/** Random requests in a sandbox and with real commits: the same answers, rows with the same ids, and hooks. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Author, Book } from '../support/entities.ts'
import { DIALECTS, type Dialect } from '../support/orms.ts'
import { suite } from '../support/suite.ts'
import { TwinSide } from './twin.ts'

const SCENARIOS = 200
/** A test of all of them would take long for one test. */
const IN_ONE_TEST = 25
const SEED = Number(process.env['FAST_CHECK_SEED'] ?? 20261129)
const SIMPLE = ['insert', 'create', 'update', 'delete', 'fail', 'count'] as const
const PLAIN = ['hook', 'commit', 'flush'] as const
const ROLES = ['writer', 'audit', 'logger', 'trail'] as const
type Role = (typeof ROLES)[number]

type Step =
  | { readonly does: (typeof SIMPLE)[number]; readonly role: Role }
  | { readonly does: 'nest'; readonly role: Role; readonly steps: readonly Step[]; readonly throws: boolean }
  | { readonly does: 'savepoint'; readonly steps: readonly Step[]; readonly goesBack: boolean }
  | { readonly does: 'run'; readonly steps: readonly Step[]; readonly throws: boolean }
  | { readonly does: (typeof PLAIN)[number] }

interface Request {
  readonly steps: readonly Step[]
  readonly throws: boolean
}

/** A run inside of a request that holds SQLite's only connection would wait for itself. */
const stepsFor = (dialect: Dialect): fc.Arbitrary<Step[]> => {
  const role = fc.constantFrom(...ROLES)
  const simple = fc.record({ does: fc.constantFrom(...SIMPLE), role })
  const plain = fc.record({ does: fc.constantFrom(...PLAIN) })
  const inner = fc.array(simple, { maxLength: 4 })
  const nested = fc.record({ does: fc.constant('nest'), role, steps: inner, throws: fc.boolean() })
  const savepoint = fc.record({ does: fc.constant('savepoint'), steps: inner, goesBack: fc.boolean() })
  const run = fc.record({ does: fc.constant('run'), steps: inner, throws: fc.boolean() })
  const all: fc.WeightedArbitrary<Step>[] = [
    { weight: 6, arbitrary: simple },
    { weight: 1, arbitrary: plain },
    { weight: 1, arbitrary: nested },
    { weight: 1, arbitrary: savepoint },
  ]
  if (dialect === 'postgresql') all.push({ weight: 2, arbitrary: run })
  return fc.array(fc.oneof(...all), { minLength: 1, maxLength: 10 })
}

class Player {
  readonly #side: TwinSide
  #count = 0
  readonly log: string[] = []

  constructor(side: TwinSide) {
    this.#side = side
  }

  async play({ steps, throws }: Request): Promise<void> {
    const { status } = await this.#side.request(async (ctx) => {
      await this.#all(steps, ctx.dbSession, ctx)
      if (throws) throw new Error('at the end')
    })
    this.log.push(`answered ${status}`)
  }

  async #all(steps: readonly Step[], sessions: any, ctx: any, prefix = 'outer '): Promise<void> {
    for (const step of steps) {
      try {
        await this.#one(step, sessions, ctx, prefix)
      } catch (error) {
        this.log.push(`${step.does}: ${(error as { code?: string }).code ?? (error as Error).name}`)
        if (step.does !== 'fail' && step.does !== 'nest' && step.does !== 'run') throw error
      }
    }
  }

  async #one(step: Step, sessions: any, ctx: any, prefix: string): Promise<void> {
    switch (step.does) {
      case 'hook':
        return void ctx?.txn.addAfterCommitHook((committed: boolean) => void this.log.push(`hook ${committed}`))
      case 'commit':
        return void (await ctx?.txn.commit())
      case 'flush':
        for (const role of ROLES) await sessions.get(role).flush()
        return
      case 'run':
        return await this.#side.registry.run(async ({ dbSession }: any) => {
          await this.#all(step.steps, dbSession, undefined, 'inner ')
          if (step.throws) throw new Error('inner')
        })
      case 'savepoint': {
        const savepoint = await ctx?.txn.savepoint()
        await this.#all(step.steps, sessions, ctx, prefix)
        if (step.goesBack) await savepoint?.rollback()
        return
      }
      case 'nest':
        return await sessions.get(step.role).transactional(async (em: any) => {
          for (const one of step.steps) await this.#write({ ...one, role: step.role } as Step, em, `${prefix}nested `)
          if (step.throws) throw new Error('nested')
        })
      case 'insert':
      case 'create':
      case 'update':
      case 'delete':
      case 'fail':
      case 'count':
        await this.#write(step, sessions.get(step.role), prefix)
    }
  }

  async #write(step: Step, em: any, prefix: string): Promise<void> {
    if (!('role' in step)) return
    const name = `${step.role} ${prefix}${++this.#count}`
    // Those of a run inside of the request are not its own: the run would wait for their locks, and the request for the run.
    const own = { name: { $like: `${step.role} ${prefix}%` } }
    if (step.does === 'insert') await em.insert(Author, { name })
    else if (step.does === 'create') em.create(Author, { name })
    else if (step.does === 'update') await em.nativeUpdate(Author, own, { name: `${name} changed` })
    else if (step.does === 'delete') await em.nativeDelete(Author, own)
    else if (step.does === 'fail') await em.insert(Book, { title: null })
    else this.log.push(`${step.role} counts ${await em.count(Author, own)}`)
  }
}

for (const dialect of DIALECTS) {
  const test = suite<{ sandbox: TwinSide; real: TwinSide }>(`testing: random scenarios, ${dialect}`)

  test.before(async (world) => {
    world.sandbox = await TwinSide.open(dialect, { sequences: 'restore', readAhead: 'allow' })
    world.real = await TwinSide.open(dialect)
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
      const request = fc.record({ steps: stepsFor(dialect), throws: fc.boolean() })
      await fc.assert(
        fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 3 }), async (requests) => {
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
        }),
        { numRuns: IN_ONE_TEST, seed: SEED + first },
      )
      assert.equal(await sandbox.stored(), 0)
    })
  }

  if (dialect === 'postgresql') {
    test('some of them overlap, so that work was done again', () => assert.ok(replayed > 20, `${replayed} steps`))
  }
  test.run()
}
