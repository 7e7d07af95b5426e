import { setTimeout as pause } from 'node:timers/promises'
import type { Bank, ServerName } from './bank.ts'
import type { Child } from './child.ts'
import type { Crew } from './crew.ts'
import type { AtStep, Cut, Plan } from './plans.ts'
import type { Passage, Verdict } from './passage.ts'
import type { Trap, Traps } from './traps.ts'

/** What a plan works on. */
export interface Stage {
  readonly bank: Bank
  readonly crew: Crew
  readonly traps: Traps
}

const REACHED_WITHIN_MS = 3000
const HELD_MS = 1000

/** Does what the plan says while the workers work. Answers whether its moment came. */
export async function carryOut(stage: Stage, plan: Plan): Promise<boolean> {
  const { bank, crew, traps } = stage
  await pause(plan.afterMs)
  switch (plan.kind) {
    case 'worker':
      if (plan.at === undefined) return await done(crew.anyWorker().kill())
      return await spring(stage, atStep(plan.at, 'worker'), (passage) => killClient(stage, passage, plan.late))
    case 'worker in sqlite': {
      const victim = crew.anyWorker()
      victim.condemned = true
      victim.order({ do: 'die', at: plan.at })
      await Promise.race([victim.exited, pause(REACHED_WITHIN_MS)])
      const reached = victim.gone
      await victim.kill()
      return reached
    }
    case 'server':
      if (plan.at === undefined) return await done(bounce(stage, plan.which))
      return await spring(stage, atStep(plan.at, 'worker'), async ({ database }): Promise<Verdict> => {
        await bounce(stage, database as ServerName)
        return 'cut'
      })
    case 'server, recovery while it is down':
      return await spring(stage, atStep(plan.at, 'worker'), async ({ database }): Promise<Verdict> => {
        await bank.servers[database as ServerName].crash()
        await recoverTwice(crew)
        await bank.servers[database as ServerName].start()
        return 'cut'
      })
    case 'the other server':
      return await spring(stage, atStep(plan.at, 'worker'), async ({ database }): Promise<Verdict> => {
        await bounce(stage, database === 'left' ? 'right' : 'left')
        return 'pass'
      })
    case 'everything': {
      const powerCut = async (): Promise<Verdict> => {
        await Promise.all([crew.killWorkers(), bank.servers.left.crash(), bank.servers.right.crash()])
        await Promise.all([bank.servers.left.start(), bank.servers.right.start()])
        return 'cut'
      }
      if (plan.at === undefined) return await done(powerCut())
      return await spring(stage, atStep(plan.at, 'worker'), powerCut)
    }
    case 'connection':
      return await spring(stage, atStep(plan.at, 'worker'), (passage) => cutConnection(stage, passage, plan))
    case 'recoverer':
    case 'connection of the recoverer':
    case 'server under the recoverer':
      return await disturbRecovery(stage, plan)
    case 'nothing':
      for (let times = 0; times < 3; times++) {
        traps.note('recovery under load')
        await crew.recover()
      }
      return true
  }
}

/** Leaves something in doubt, and then does not let the recoverer finish in peace. */
async function disturbRecovery(stage: Stage, plan: Plan & { readonly first: AtStep }): Promise<boolean> {
  const { crew } = stage
  await spring(stage, atStep(plan.first, 'worker'), (passage) => killClient(stage, passage, false))
  await crew.rest()
  await crew.ready()
  const recoverer = crew.anyRecoverer()
  if (plan.at === undefined) {
    const recovery = crew.recoverBy(recoverer)
    await pause(plan.afterMs / 8)
    return await done(Promise.all([recoverer.kill(), recovery]))
  }
  const recovery = crew.recoverBy(recoverer)
  const reached = await spring(
    stage,
    atStep(plan.at, recoverer.name),
    async (passage) => {
      if (plan.kind === 'recoverer') return await killClient(stage, passage, true)
      if (plan.kind === 'server under the recoverer') await bounce(stage, passage.database as ServerName)
      return 'cut'
    },
    recovery,
  )
  await recovery
  return reached
}

async function cutConnection(
  { crew, traps }: Stage,
  passage: Passage,
  { how, afterMs }: { readonly how: Cut; readonly afterMs: number },
): Promise<Verdict> {
  if (how === 'late' || how === 'late after recovery') passage.cutClient()
  if (how === 'late') await pause(afterMs)
  if (how === 'gone') traps.isolate(passage)
  // A recovery now must leave a slow transaction alone, or the transaction has to end in an error.
  if (how === 'hold' || how.endsWith('after recovery')) await recoverTwice(crew)
  if (how === 'hold') return 'pass'
  return how.startsWith('late') ? 'late' : 'cut'
}

/** What is settled the first time is forgotten the second time. It may have to wait for what is held up. */
async function recoverTwice(crew: Crew): Promise<void> {
  await Promise.race([crew.recover().then(() => crew.recover()), pause(HELD_MS)])
}

async function killClient({ crew }: Stage, { client, side }: Passage, late: boolean): Promise<Verdict> {
  const victim: Child | undefined = crew.worker(client) ?? crew.recoverer(client)
  await victim?.kill()
  return late && side === 'request' ? 'late' : 'cut'
}

async function bounce({ bank, traps }: Stage, which: ServerName): Promise<void> {
  traps.note(`${which} crashes`)
  await bank.servers[which].crash()
  await bank.servers[which].start()
  traps.note(`${which} is back`)
}

function atStep({ step, side, skip }: AtStep, client: string): Omit<Trap, 'act'> {
  return {
    skip,
    catches: (passage) => passage.step === step && passage.side === side && passage.client.startsWith(client),
  }
}

/** Waits until the moment comes and what is to happen has happened. */
async function spring(
  { traps }: Stage,
  trap: Omit<Trap, 'act'>,
  act: Trap['act'],
  until: Promise<unknown> = pause(REACHED_WITHIN_MS),
): Promise<boolean> {
  const acted = Promise.withResolvers<void>()
  const sprung = traps.set({
    ...trap,
    act: async (passage) => {
      try {
        return await act(passage)
      } finally {
        acted.resolve()
      }
    },
  })
  await Promise.race([sprung, until])
  if (traps.clear()) return false
  await acted.promise
  return true
}

async function done(work: Promise<unknown>): Promise<true> {
  await work
  return true
}
