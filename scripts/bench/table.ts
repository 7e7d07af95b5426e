import type { Figures } from './figures.ts'

const COLUMNS: readonly [string, (row: Figures) => string][] = [
  ['req/s', (row) => row.requestsPerSecond.toLocaleString('en')],
  ['ratio', (row) => multiple(row.ratio, row.ratioSpread)],
  ['CPU µs', (row) => String(row.cpuMicros)],
  ['ratio', (row) => multiple(row.cpuRatio, row.cpuRatioSpread)],
  ['p99 ms', (row) => row.p99Ms.toFixed(2)],
  ['waits', (row) => String(row.waits ?? '-')],
  ['load busy', (row) => `${Math.round(row.loadBusy * 100)} %`],
  ['heap MiB', (row) => row.heapMiB.toFixed(1)],
  ['against', (row) => row.against],
]

/** One work at one delay, a line for each server. */
export function table(rows: readonly Figures[]): string {
  const cells = [
    ['', ...COLUMNS.map(([title]) => title)],
    ...rows.map((row) => [row.server, ...COLUMNS.map(([, show]) => show(row))]),
  ]
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((line) => line[column]!.length)))
  return cells
    .map((line) =>
      line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join('  '),
    )
    .map((line) => `  ${line.trimEnd()}\n`)
    .join('')
}

function multiple(ratio: number | null, spread: number | null): string {
  return ratio === null || spread === null ? '-' : `${ratio.toFixed(2)} ±${spread.toFixed(2)}`
}
