/** Whether both databases can store the text. A NUL character is text to JSON and to SQLite, and an error to PostgreSQL. */
export function isStorable(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed()
}
