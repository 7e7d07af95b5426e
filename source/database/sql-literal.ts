/** As a literal of SQL. What goes in is made by this library: it has no backslashes. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
