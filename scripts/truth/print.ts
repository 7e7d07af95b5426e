/** A program as pseudo-code, to be read. */
import { inside, type Program, type Role, type Step } from './program.ts'

export function print(program: Program): string[] {
  const { entry, attempts, disabled, roles } = program
  const options = [entry, attempts > 1 ? `attempts ${attempts}` : '', disabled ? 'transactions disabled' : '']
  return [
    options.filter(Boolean).join(', '),
    ...roles.map((role) => `role ${printRole(role)}`),
    ...printSteps(program.steps, '  '),
  ]
}

function printRole({ name, dialect, ...options }: Role): string {
  const list = Object.entries(options).map(([key, value]) => `${key}: ${JSON.stringify(value)}`)
  return `${name} on ${dialect}${list.length > 0 ? ` { ${list.join(', ')} }` : ''}`
}

function printSteps(steps: readonly Step[], indent: string): string[] {
  return steps.flatMap((step) => printStep(step, indent))
}

function printStep(step: Step, indent: string): string[] {
  const head = { awaited: '', caught: 'try: ', forgotten: 'no await: ' }[step.handling]
  const line = `${indent}${String(step.id).padStart(2)}  ${head}${phrase(step)}`
  return inside(step).length === 0 ? [line] : [`${line} {`, ...printSteps(inside(step), `${indent}    `), `${indent}}`]
}

function phrase(step: Step): string {
  switch (step.do) {
    case 'write': {
      const note = step.shared === undefined ? '' : ` of note ${step.shared}`
      const em = step.via === 'global' ? `orm(${step.role}).em` : step.role
      return `${em}: ${step.how}${note}${step.flush ? ', flush' : ''}`
    }
    case 'flush':
    case 'load':
      return `${step.role}.${step.do}()`
    case 'read':
      return `${step.role}: read by ${step.how}`
    case 'fail':
      return `${step.role}: a statement that fails (${step.how})`
    case 'scope':
      return `${step.role}.transactional(${step.asks ? JSON.stringify(step.asks) : ''})${step.throws ? ' that throws at its end' : ''}`
    case 'own begin':
      return `${step.role}.begin(${JSON.stringify(step.asks)}), ${step.commits ? 'committed' : 'rolled back'} after`
    case 'leave behind':
      return `${step.role}: leaves something behind (${step.how})`
    case 'ending':
      return `${step.role}: a statement that ends its transaction (${step.how})`
    case 'savepoint':
      return `txn.savepoint()${step.rollback ? ', rolled back after' : ', kept'}`
    case 'compare':
      return `${step.role}: entities beside their rows${step.again ? ', one changed again' : ''}`
    case 'parallel':
      return `Promise.${step.join}`
    case 'veto':
      return 'ctx.status = 500'
    case 'leave':
      return 'the client goes away'
    case 'commit':
    case 'abort':
    case 'doom':
      return `txn.${step.do}()`
    case 'begin':
      return 'tm.begin()'
    case 'commit role':
      return `${step.role}.commit()`
    case 'roll back role':
      return `${step.role}.rollback()`
    case 'kill':
      return `the backend of ${step.role} is terminated`
    case 'hook':
      return `txn: ${step.when} hook${step.role === undefined ? '' : `, which creates in ${step.role}`}`
    case 'echo':
      return `a subscriber: what ${step.on} creates next makes ${step.role} create`
    case 'join':
      return `txn.join(${step.key}${step.creates === undefined ? '' : `, creates in ${step.creates}`}${
        step.throws === undefined ? '' : `, throws in ${step.throws}`
      })`
    case 'nested run':
      return `${step.registry === 'same' ? 'registry' : 'another registry'}.run()`
    case 'stream':
      return `${step.role}.stream(), ${step.how}`
    case 'body':
      return `ctx.body = ${step.role}.stream()${step.leaves ? ', the client leaves in its middle' : ''}`
    case 'throw':
      return `throw (${step.error})${step.once ? ' in the first attempt' : ''}`
    case 'late branch':
      return 'a branch that goes on in the second attempt'
  }
}
