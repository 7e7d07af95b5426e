/** `text` as a literal of SQL. Every caller passes a text made by this library, which has no backslashes. */
export function sqlLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
