/** A process of the bank: makes random transfers, two at a time, and reports how each ended. */
import process from 'node:process'
import { setTimeout as pause } from 'node:timers/promises'
import { LockMode } from '@mikro-orm/core'
import { CommitOutcomeUnknownError } from '../../source/index.ts'
import { dieAt } from './die-at.ts'
import { ACCOUNTS, Account, Ledger } from './entities.ts'
import { ROLES, transferId, type Access, type Order, type Role, type Tell } from './messages.ts'
import { openRegistry } from './open-registry.ts'
import { seededRandom } from './random.ts'

const LANES = 2
const PAUSE_AFTER_FAILURE_MS = 20

const access = JSON.parse(process.argv[2]!) as Access
const random = seededRandom(access.seed)
const registry = await openRegistry(access)
let going = Promise.withResolvers<void>()
let resting = true
let busy = 0
let count = 0

process.on('disconnect', () => process.exit(0))
process.on('message', (order: Order) => {
  if (order.do === 'die') dieAt(order.at)
  if (order.do === 'go') {
    resting = false
    going.resolve()
  }
  if (order.do === 'rest') {
    resting = true
    going = Promise.withResolvers()
    if (busy === 0) tell({ tell: 'resting' })
  }
})
for (let lane = 0; lane < LANES; lane++) void work()
tell({ tell: 'ready' })

async function work(): Promise<never> {
  for (;;) {
    await going.promise
    busy += 1
    const succeeded = await transfer()
    if (!succeeded) await pause(PAUSE_AFTER_FAILURE_MS)
    busy -= 1
    if (resting && busy === 0) tell({ tell: 'resting' })
  }
}

async function transfer(): Promise<boolean> {
  const roles = someRoles()
  const parts = roles.map((role) => ({ role, account: 1 + random.below(ACCOUNTS), early: random.below(3) === 0 }))
  const amounts = zeroSum(roles.length)
  const changesItsMind = random.below(20) === 0
  const id = transferId(access.name, ++count, roles)
  try {
    await registry.run(async ({ dbSession }) => {
      for (const [index, { role, account, early }] of parts.entries()) {
        await enter(dbSession.get(role), { id, account, amount: amounts[index]!, early })
      }
      if (changesItsMind) throw new Error('changed its mind')
    })
  } catch (error) {
    tell({ tell: error instanceof CommitOutcomeUnknownError ? 'unknown' : 'failed', id, error: summary(error) })
    return false
  }
  tell({ tell: 'acknowledged', id })
  return true
}

/** In any order; often without SQLite, which would be the commit point. */
function someRoles(): Role[] {
  const among = random.below(3) === 0 ? ROLES.filter((role) => role !== 'book') : ROLES
  return random.shuffled(among).slice(0, 2 + random.below(2))
}

type Session = ReturnType<typeof registry.session<Role>>
interface Line {
  readonly id: string
  readonly account: number
  readonly amount: number
  /** Whether it is sent at once, and not with the commit. */
  readonly early: boolean
}

async function enter(em: Pick<Session, 'findOneOrFail' | 'create' | 'flush'>, line: Line): Promise<void> {
  const account = await em.findOneOrFail(Account, line.account, { lockMode: LockMode.PESSIMISTIC_WRITE })
  account.balance += line.amount
  em.create(Ledger, { transfer: line.id, account: line.account, amount: line.amount })
  if (line.early) await em.flush()
}

function zeroSum(length: number): number[] {
  const amounts = Array.from({ length: length - 1 }, () => 1 + random.below(9))
  return [...amounts, -amounts.reduce((sum, amount) => sum + amount, 0)]
}

function summary(error: unknown): string {
  const { name, code, message } = error as { name?: string; code?: string; message?: string }
  return `${name ?? 'not an error'} ${code ?? ''} ${String(message).slice(0, 120)}`
}

function tell(what: Tell): void {
  process.send?.(what)
}
