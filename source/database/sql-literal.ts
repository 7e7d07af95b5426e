/** As a literal of SQL. What goes in is made by this library: it has no backslashes. */
export function sqlLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
