/** Koa alone. */
import type { OpenServer } from './bench-server.ts'

export const open: OpenServer = async () => ({
  middleware: [],
  handlers: { none: () => ({ ok: true }) },
  close: async () => {},
})
