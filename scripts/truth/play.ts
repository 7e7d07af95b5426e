/** Runs one program, waits until all of it is over, and asks what is stored. */
import Koa from 'koa'
import { dbSessions } from '../../source/index.ts'
import { endUnit } from './end-unit.ts'
import { judge } from './judge.ts'
import { otherDatabase, terminate, type Lane, type Registry } from './lane.ts'
import { quiet, stored } from './look.ts'
import { performAll } from './perform.ts'
import { noteOf } from './perform-write.ts'
import { databaseOf, everyStep, type Program } from './program.ts'
import { Journal, Unit, type Cell, type Lie, type Value } from './record.ts'
import type { Callback, Exchange, Servers } from './server.ts'
import { Stage, type Play } from './stage.ts'

export interface Theatre {
  readonly lane: Lane
  readonly servers: Servers
  /** How long until what does not answer counts as hanging. Nothing else is judged by it. */
  readonly patienceMs: number
}

export interface Played {
  readonly lies: readonly Lie[]
  readonly hung: boolean
  readonly leaked: boolean
  readonly outcome: Unit['outcome']
  readonly writes: number
}

/** Steps behind which the connections are looked at. */
const LEAVES: readonly string[] = ['leave behind', 'ending']
const CLOSED = Promise.resolve()

export async function play(program: Program, { lane, servers, patienceMs }: Theatre): Promise<Played> {
  const journal = new Journal()
  const registry = await lane.registry(program)
  const databases = await databasesOf(program, lane)
  await lane.reset(databases, notesOf(program))
  const late: Play['late'] = { gate: Promise.withResolvers<void>(), branches: [] }
  let exchange: Exchange | undefined
  const stagePlay: Play = {
    program,
    journal,
    forgotten: [],
    late,
    echoes: [],
    leave: () => exchange?.leave() ?? CLOSED,
    terminate,
    other: (dialect) => lane.other(dialect),
  }
  lane.onCreate = (role) => {
    const index = stagePlay.echoes.findIndex(({ on }) => on === role)
    if (index >= 0) stagePlay.echoes.splice(index, 1)[0]!.create()
  }
  const run = async (): Promise<void> => {
    if (program.entry === 'run') await byRun(stagePlay, registry)
    else {
      const served = Promise.withResolvers<void>()
      const callback = callbackOf(stagePlay, registry, served.resolve)
      exchange = servers.request(program.entry, callback, program.steps.length % 2 === 0 ? 'reset' : 'disconnect')
      await served.promise
      judgeStatus(journal, program, await exchange.reply)
    }
    late.gate.resolve()
    for (let count = -1; count !== stagePlay.forgotten.length + late.branches.length;) {
      count = stagePlay.forgotten.length + late.branches.length
      await Promise.all([...stagePlay.forgotten, ...late.branches])
    }
  }
  const hung = !(await inTime(run(), patienceMs))
  lane.onCreate = undefined
  if (hung) {
    journal.lie('no answer', waitsFor(journal))
    await lane.renew()
    return { lies: journal.lies, hung, leaked: false, outcome: 'pending', writes: journal.writes.length }
  }
  const leaked = await leftOpen(journal, lane, databases, patienceMs)
  const leaves = !leaked && [...everyStep(program.steps)].some(({ do: what }) => LEAVES.includes(what))
  const left = leaves ? await lane.leftBehind() : []
  for (const each of left) journal.lie('left behind', each)
  const found = new Map<Cell, Value>()
  for (const database of databases) {
    for (const [cell, value] of await stored((await lane.store(database)).look, database)) found.set(cell, value)
  }
  judge(journal, found)
  if (leaked || left.length > 0) await lane.renew()
  const outcome = journal.units.findLast(({ isNested }) => !isNested)?.outcome ?? 'pending'
  return { lies: journal.lies, hung, leaked, outcome, writes: journal.writes.length }
}

/** The attempts at the program, each a unit of its own. */
async function attempts(
  setting: Play,
  work: (next: (context: any) => Promise<void>) => Promise<unknown>,
  registry: Registry,
) {
  const { journal, program } = setting
  let last: Unit | undefined
  const next = async (context: any): Promise<void> => {
    if (last !== undefined) Object.assign(last, { outcome: 'again', endAnswered: journal.tick() })
    const unit = new Unit((last?.attempt ?? 0) + 1, program.roles, program.disabled, false)
    last = unit
    setting.echoes.length = 0
    journal.units.push(unit)
    const stage = new Stage({ play: setting, unit, context, registry, databases: databaseOf })
    await stage.work(async () => {
      if (unit.attempt > 1) {
        setting.late.gate.resolve()
        await Promise.all(setting.late.branches)
      }
      await performAll(stage, program.steps)
    })
  }
  const end = { outcome: 'pending', error: undefined, endAnswered: Infinity } as unknown as Unit
  await endUnit(end, journal, () => work(next)).catch(() => undefined)
  if (last !== undefined) Object.assign(last, { outcome: end.outcome, error: end.error, endAnswered: end.endAnswered })
}

async function byRun(setting: Play, registry: Registry): Promise<void> {
  await attempts(
    setting,
    (next) => registry.run((context: any) => next(context), { attempts: setting.program.attempts }),
    registry,
  )
}

function callbackOf(setting: Play, registry: Registry, served: () => void): Callback {
  const { attempts: count, disabled } = setting.program
  const app = new Koa()
  app.silent = true
  app.use(async (ctx, rest) => {
    await attempts(
      setting,
      async (next) => {
        const handler = async (): Promise<void> => {
          ctx.status = 200
          await next(ctx)
        }
        const options = { attempts: count, disableTransaction: disabled }
        try {
          await dbSessions(registry, options, handler)(ctx as any, rest)
        } catch (error) {
          ctx.status = 500
          ctx.body = 'failed'
          throw error
        }
      },
      registry,
    )
    served()
  })
  return app.callback()
}

/** The answer to the client: it has to agree with the outcome of the unit. */
function judgeStatus(journal: Journal, program: Program, status: number | undefined): void {
  const unit = journal.units.findLast(({ isNested }) => !isNested)
  const leaves = [...everyStep(program.steps)].some(
    (step) => step.do === 'leave' || (step.do === 'body' && step.leaves),
  )
  if (unit === undefined || leaves) return
  // A body that reads is broken off where its role was changed.
  const isBrokenOff = journal.writes.some((write) => write.unit === unit && write.role.readOnly !== undefined)
  if (status === undefined && isBrokenOff) return
  const wanted = unit.outcome === 'resolved' && !unit.vetoed ? 200 : 500
  if (status !== wanted) journal.lie('status', `the client got ${status}, the unit was ${unit.outcome}`)
}

async function leftOpen(journal: Journal, lane: Lane, databases: readonly string[], patienceMs: number) {
  const left: string[] = []
  for (const database of databases) left.push(...(await quiet((await lane.store(database)).look, patienceMs)))
  left.push(...(await lane.busyPools(patienceMs)))
  for (const each of left) journal.lie('leak', each)
  return left.length > 0
}

function waitsFor({ writes, units }: Journal): string {
  const waiting = writes.filter(({ answer }) => answer === 'pending').map(({ name }) => name)
  const open = units.filter(({ outcome }) => outcome === 'pending').length
  return `${open} of ${units.length} units have no end${waiting.length > 0 ? `; never answered: ${waiting.join(', ')}` : ''}`
}

async function databasesOf(program: Program, lane: Lane): Promise<string[]> {
  const databases = new Set(program.roles.map(databaseOf))
  if ([...everyStep(program.steps)].some((step) => step.do === 'nested run' && step.registry === 'other')) {
    const { dialect } = program.roles[0]!
    await lane.other(dialect)
    databases.add(otherDatabase(dialect))
  }
  return [...databases]
}

/** The notes that have to be there before. */
function notesOf(program: Program): string[] {
  const own = [...everyStep(program.steps)].flatMap((step) =>
    step.do === 'write' && step.shared === undefined ? [noteOf(step, 1), noteOf(step, 2)] : [],
  )
  return [...new Set(['taken', 'shared-0', 'shared-1', 'shared-2', ...own])]
}

async function inTime(work: Promise<void>, ms: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const timer = setTimeout(() => resolve(false), ms)
  try {
    return await Promise.race([work.then(() => true), promise])
  } finally {
    clearTimeout(timer)
  }
}
