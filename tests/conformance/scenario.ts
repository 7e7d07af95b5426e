import { readFile } from 'node:fs/promises'

/** One scenario: participants, steps, and the trace that Zope's own package gives. */
export interface Scenario {
  readonly id: string
  readonly name?: string
  readonly profile?: string
  readonly manager: { readonly explicit: boolean }
  readonly resources?: Readonly<Record<string, ResourceDeclaration>>
  readonly synchronizers?: Readonly<Record<string, Behaviour>>
  readonly hooks?: Readonly<Record<string, HookDeclaration>>
  readonly steps: readonly Step[]
  readonly features?: readonly string[]
  readonly expected: readonly string[]
}

export interface Behaviour {
  readonly faults?: readonly Fault[]
  readonly actions?: readonly Action[]
}

export interface ResourceDeclaration extends Behaviour {
  readonly sortKey?: string
  readonly savepoints?: 'rollback' | 'none'
  readonly retryable?: readonly string[]
}

export interface HookDeclaration extends Behaviour {
  readonly kind: HookKind
}

export type HookKind = 'beforeCommit' | 'afterCommit' | 'beforeAbort' | 'afterAbort'

/** A hook is one function, so its faults and actions name no method. */
export interface Fault {
  readonly method?: string
  readonly nth: number
  readonly error: string
}

export interface Action {
  readonly method?: string
  readonly nth?: number
  readonly steps: readonly Step[]
}

export interface Step {
  readonly op: string
  readonly as?: string
  readonly txn?: string
  readonly resource?: string
  readonly savepoint?: string
  readonly optimistic?: boolean
  readonly synch?: string
  readonly hook?: string
  readonly args?: readonly unknown[]
  readonly kind?: HookKind
  readonly text?: string | null
  readonly user?: string
  readonly path?: string
  readonly key?: string
  readonly value?: unknown
  readonly object?: string
  readonly error?: string
  readonly tag?: string
  readonly tries?: number
  readonly number?: number
  readonly body?: readonly Step[]
  readonly result?: unknown
  readonly name?: string
  readonly doc?: string
  readonly on?: readonly number[]
  readonly catch?: boolean
}

/** The scenarios of a file, one to a line. Throws an error that names the file, and the line, where it cannot be read. */
export async function readScenarios(file: string): Promise<Scenario[]> {
  const lines = (await readFile(file, 'utf8')).replace(/^\uFEFF/, '').split(/\r?\n/)
  const scenarios = lines.flatMap((line, index) => (line.trim() === '' ? [] : [parse(line, `${file}:${index + 1}`)]))
  if (scenarios.length === 0) throw new Error(`${file} holds no scenario`)
  return scenarios
}

function parse(line: string, place: string): Scenario {
  let scenario: Scenario
  try {
    scenario = JSON.parse(line) as Scenario
  } catch (error) {
    throw new Error(`${place} is no JSON: ${(error as Error).message}`, { cause: error })
  }
  if (!Array.isArray(scenario?.steps) || !Array.isArray(scenario.expected)) {
    throw new Error(`${place} is no scenario: it needs "steps" and "expected"`)
  }
  return scenario
}
