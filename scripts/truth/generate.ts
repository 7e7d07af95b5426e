/** Program number `index` of a seed: always the same, also alone. */
import { seededRandom, type Random } from '../crash/random.ts'
import { dealRoles } from './generate-roles.ts'
import { Dealer } from './generate-steps.ts'
import { ENTRIES, type Databases, type Program } from './program.ts'

export function generate(seed: number, index: number, databases: Databases): Program {
  const random = seededRandom((Math.imul(seed ^ 0x5bd1e995, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b)) >>> 0)
  const roles = dealRoles(random, databases)
  const entry = random.pick(ENTRIES)
  const disabled = random.below(10) === 0
  const attempts = random.below(4) === 0 ? 2 : 1
  const frame = { roles, entry, disabled, attempts }
  return { ...frame, steps: new Dealer(random, frame).steps(length(random)) }
}

/** Short programs find most, and are read the easiest. */
function length(random: Random): number {
  return 1 + Math.min(random.below(12), random.below(12))
}
