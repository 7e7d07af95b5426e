/** Cuts rows that were read at once into what a stream hands out at a time. */
export function* chunksOf<Row>(rows: readonly Row[], size: number): Iterable<Row[]> {
  for (let start = 0; start < rows.length; start += size) yield rows.slice(start, start + size)
}
