/** A process that settles what is in doubt, on request. */
import process from 'node:process'
import type { Access, Order, Tell } from './messages.ts'
import { openRegistry } from './open-registry.ts'

const registry = await openRegistry(JSON.parse(process.argv[2]!) as Access, false)

process.on('disconnect', () => process.exit(0))
process.on('message', (order: Order) => {
  if (order.do === 'recover') void recover()
})
tell({ tell: 'ready' })

async function recover(): Promise<void> {
  try {
    const report = await registry.recover({ graceMs: 0 })
    tell({ tell: 'recovered', report })
  } catch (error) {
    tell({ tell: 'recovered', error: String((error as Error)?.stack ?? error) })
  }
}

function tell(what: Tell): void {
  process.send?.(what)
}
