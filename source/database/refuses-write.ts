/** Whether PostgreSQL refused a statement since its transaction is READ ONLY. */
export function refusesWrite(error: unknown): boolean {
  return (error as { readonly code?: unknown } | null | undefined)?.code === '25006'
}
