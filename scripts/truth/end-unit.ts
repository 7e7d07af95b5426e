import type { Journal, Unit } from './record.ts'

/** Writes down how a unit ended. */
export async function endUnit(unit: Unit, journal: Journal, run: () => Promise<unknown>): Promise<void> {
  try {
    await run()
    unit.outcome = 'resolved'
  } catch (error) {
    unit.outcome = 'rejected'
    unit.error = error
    throw error
  } finally {
    unit.endAnswered = journal.tick()
  }
}
