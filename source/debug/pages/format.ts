/** A duration, short: `0.42 ms`, `12.3 ms`, `431 ms`, `2.05 s`. */
export function duration(time: number): string {
  if (time >= 1000) return `${(time / 1000).toFixed(2)} s`
  return `${time.toFixed(time < 1 ? 2 : time < 100 ? 1 : 0)} ms`
}

export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

/** The time of day, as the server has it. */
export function timeOfDay(epochMs: number): string {
  return new Date(epochMs).toTimeString().slice(0, 8)
}

/** A part of a whole as SVG wants it. */
export function percent(part: number, whole: number): string {
  return `${Number(Math.min(100, Math.max(0, (100 * part) / (whole || 1))).toFixed(2))}%`
}
