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

/** Headers that let no other site or cache have the panel's answers, and no foreign file into its pages. */
export function guardAnswer(ctx: Context): { readonly nonce: string } {
  const nonce = randomBytes(16).toString('base64')
  ctx.set(FOR_ALL)
  ctx.set(
    'Content-Security-Policy',
    `default-src 'none'; script-src 'nonce-${nonce}'; style-src 'nonce-${nonce}'; img-src 'self'; connect-src 'self'; ` +
      `base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  )
  // Switches compression off, which would hold live events back until it has enough of them.
  ctx.compress = false
  return { nonce }
}
