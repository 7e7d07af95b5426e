import { randomBytes } from 'node:crypto'
import type { Context } from 'koa'

const FOR_ALL = {
  'Cache-Control': 'no-store, no-transform',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
}

/** Headers that keep what the panel sends to whoever asked for it, and anything but the panel's own files out of its pages. */
export function guardAnswer(ctx: Context): { readonly nonce: string } {
  const nonce = randomBytes(16).toString('base64')
  ctx.set(FOR_ALL)
  ctx.set(
    'Content-Security-Policy',
    `default-src 'none'; script-src 'nonce-${nonce}'; style-src 'nonce-${nonce}'; img-src 'self'; connect-src 'self'; ` +
      `base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  )
  // For middleware that compresses what it is given, and would keep live events until it has enough of them.
  ctx.compress = false
  return { nonce }
}
