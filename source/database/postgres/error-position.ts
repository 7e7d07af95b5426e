/** Moves the place of an error, which PostgreSQL gives in characters from the beginning of what was sent. */
export function moveBack(error: unknown, characters: number): void {
  const located = error as { position?: string | undefined }
  if (located.position === undefined || characters === 0) return
  const position = Number(located.position) - characters
  located.position = position > 0 ? String(position) : undefined
}
