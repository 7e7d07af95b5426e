/** A process of the application: it stores what its parent asks for, and reads what others have stored. */
import process from 'node:process'
import { MikroORM } from '@mikro-orm/postgresql'
import { EngineRegistry, positionOf } from '../../source/index.ts'
import { MAX_LAG_MS, READS_AFTER_WRITE, type Answer, type Order, type Places, type Report } from './messages.ts'

const { primary, reader, replicas } = JSON.parse(process.env['PLACES'] ?? '') as Places
const open = (clientUrl: string, more: object = {}): Promise<MikroORM> =>
  MikroORM.init({
    entities: [],
    discovery: { warnWhenNoEntities: false },
    clientUrl,
    pool: { min: 0, max: 10 },
    ...more,
  })
const registry = new EngineRegistry({
  writer: await open(primary),
  reader: {
    orm: await open(reader, { replicas: replicas.map((clientUrl) => ({ clientUrl })) }),
    readOnly: true,
    replicaOf: { role: 'writer', maxLagMs: MAX_LAG_MS },
  },
})

let reads = 0
let stale = 0
let old = 0
let slowestMs = 0
const errors: Record<string, number> = {}
/** What this process has committed, and when: the sum over all users only grows. */
const history: { at: number; total: number }[] = []

process.on('message', (order: Order) => void obey(order))
process.on('disconnect', () => process.exit(0))
send({ did: 'ready' })

async function obey(order: Order): Promise<void> {
  if (order.do === 'write') await write(order.user)
  else if (order.do === 'read') await readAfter(order)
  else send({ did: 'report', report: await report() })
}

async function write(user: number): Promise<void> {
  try {
    send(
      await registry.run(async ({ dbSession: { writer }, dbSession, txn }) => {
        const [row] = await writer.execute<[{ value: number; total: string }]>(
          'with own as (update counters set value = value + 1 where id = ? returning value) ' +
            'update totals set total = total + 1 returning (select value from own) as value, total',
          [user],
        )
        dbSession.markChanged('writer')
        await txn.commit()
        history.push({ at: performance.now(), total: Number(row.total) })
        if (history.length > 5000) history.splice(0, 2500)
        return { did: 'write', user, value: row.value, after: positionOf(dbSession) } as const
      }),
    )
  } catch (error) {
    send({ did: 'failed write', user, error: String(error) })
  }
}

async function readAfter({ user, value, after }: Extract<Order, { do: 'read' }>): Promise<void> {
  for (let each = 0; each < READS_AFTER_WRITE; each++) {
    const from = performance.now()
    const known = history.findLast(({ at }) => at < from - MAX_LAG_MS)?.total ?? 0
    try {
      const [row] = await registry.run(
        ({ dbSession }) =>
          dbSession.reader.execute<[{ value: number; total: string }]>(
            'select value, (select total from totals) as total from counters where id = ?',
            [user],
          ),
        { after },
      )
      if (row.value < value) stale++
      if (Number(row.total) < known) old++
    } catch (error) {
      const { code, message } = error as { code?: string; message: string }
      const what = `${code ?? ''} ${message}`.slice(0, 200)
      errors[what] = (errors[what] ?? 0) + 1
    }
    reads++
    slowestMs = Math.max(slowestMs, performance.now() - from)
  }
  send({ did: 'read', user, reads: READS_AFTER_WRITE })
}

async function report(): Promise<Report> {
  const { roles } = await registry.inspect()
  const { replicas: known = [], fallbacks = {} } = roles.find(({ replicaOf }) => replicaOf !== undefined) ?? {}
  const onReplicas = known.reduce((sum, { served }) => sum + served, 0)
  const moved = known.reduce((sum, each) => sum + each.moved, 0)
  const served = { replicas: onReplicas, primary: reads - onReplicas }
  return { reads, stale, old, errors, served, moved, fallbacks, slowestMs: Math.round(slowestMs) }
}

function send(answer: Answer): void {
  process.send?.(answer)
}
