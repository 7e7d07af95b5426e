import type { Scenario } from './scenario.ts'

/** The expected trace and another one, line by line, with a mark at the first line that differs. */
export function sideBySide(scenario: Scenario, trace: readonly string[], why?: string): string {
  const { id, name, profile, expected } = scenario
  const width = Math.min(60, Math.max(8, ...expected.map((event) => quoted(event).length)))
  const first = [...expected, undefined].findIndex((event, index) => event !== trace[index])
  const lines = Array.from({ length: Math.max(expected.length, trace.length) }, (_, index) => {
    const mark = index === first ? '>' : ' '
    return `${mark} ${quoted(expected[index]).padEnd(width)}  ${quoted(trace[index])}`
  })
  return [
    `${id}: ${name ?? profile ?? ''}`,
    ...(why === undefined ? [] : [why]),
    `  ${'expected'.padEnd(width)}  got`,
    ...lines,
    '',
  ].join('\n')
}

function quoted(event: string | undefined): string {
  return event === undefined ? '' : JSON.stringify(event).slice(1, -1)
}
