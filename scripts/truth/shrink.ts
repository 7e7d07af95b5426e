/** Makes a program smaller as long as it still shows the same kind of lie. */
import { everyStep, inside, type Program, type Role, type Step } from './program.ts'

const MOST_TRIES = 200
const LONGEST_MS = 20_000

export async function shrink(program: Program, stillLies: (smaller: Program) => Promise<boolean>): Promise<Program> {
  let smallest = program
  const deadline = performance.now() + LONGEST_MS
  let tries = 0
  for (let found = true; found;) {
    found = false
    for (const candidate of smaller(smallest)) {
      if (++tries > MOST_TRIES || performance.now() > deadline) return smallest
      if (!(await stillLies(candidate))) continue
      smallest = candidate
      found = true
      break
    }
  }
  return smallest
}

/** The boldest first. */
function* smaller(program: Program): Generator<Program> {
  const { steps, roles } = program
  for (const fewer of lists(steps)) yield { ...program, steps: fewer }
  const used = new Set([...everyStep(steps)].flatMap((step) => ('role' in step && step.role ? [step.role] : [])))
  const needed = roles.filter(({ name }) => name === 'writer' || used.has(name))
  if (needed.length < roles.length && fits(steps, needed)) yield { ...program, roles: needed }
  if (program.disabled) yield { ...program, disabled: false }
  if (program.attempts > 1) yield { ...program, attempts: 1 }
  if (program.entry !== 'run' && !overHttp(steps)) yield { ...program, entry: 'run' }
  if (program.entry === 'http/2') yield { ...program, entry: 'http/1' }
  for (const [index, role] of roles.entries()) {
    for (const plainer of plainerRoles(role)) yield { ...program, roles: roles.with(index, plainer) }
  }
  for (const simpler of simplified(steps)) yield { ...program, steps: simpler }
}

function fits(steps: readonly Step[], roles: readonly Role[]): boolean {
  const names = new Set(roles.map(({ name }) => name))
  return [...everyStep(steps)].every((step) => {
    const more = step.do === 'echo' ? [step.on] : step.do === 'join' && step.creates ? [step.creates] : []
    return more.every((name) => names.has(name))
  })
}

function overHttp(steps: readonly Step[]): boolean {
  return [...everyStep(steps)].some((step) => ['veto', 'leave', 'body'].includes(step.do))
}

function* plainerRoles(role: Role): Generator<Role> {
  for (const option of Object.keys(role)) {
    if (option === 'name' || option === 'dialect' || (option === 'readOnly' && role.name === 'reader')) continue
    yield Object.fromEntries(Object.entries(role).filter(([key]) => key !== option)) as unknown as Role
  }
}

/** Without halves of the list, without single steps, with what is inside a step in its place. */
function* lists(steps: readonly Step[]): Generator<readonly Step[]> {
  if (steps.length > 3) {
    const middle = Math.floor(steps.length / 2)
    yield steps.slice(0, middle)
    yield steps.slice(middle)
  }
  for (const index of steps.keys()) yield steps.toSpliced(index, 1)
  for (const [index, step] of steps.entries()) {
    const within = inside(step)
    if (within.length === 0) continue
    yield steps.toSpliced(index, 1, ...within)
    for (const fewer of lists(within)) {
      if (fewer.length > 0) yield steps.with(index, { ...step, steps: fewer } as Step)
    }
  }
}

function* simplified(steps: readonly Step[]): Generator<readonly Step[]> {
  for (const [index, step] of steps.entries()) {
    for (const simpler of simplerSteps(step)) yield steps.with(index, simpler)
    for (const within of simplified(inside(step))) yield steps.with(index, { ...step, steps: within } as Step)
  }
}

function* simplerSteps(step: Step): Generator<Step> {
  if (step.handling !== 'awaited') yield { ...step, handling: 'awaited' }
  if (step.do === 'scope' && step.asks !== undefined) {
    const { asks: _, ...plain } = step
    yield plain
  }
  if (step.do !== 'write') return
  if (step.via === 'global') yield { ...step, via: 'session' }
  if (step.flush) yield { ...step, flush: false }
  if (step.how !== 'insert') yield { ...step, how: 'insert', flush: false }
}
