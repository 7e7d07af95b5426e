import type { Context } from 'koa'

const END_OF_BODY = /<\/body\s*>/gi
/** Encodings that keep ASCII as it is, so that a link of ASCII can be inserted. */
const ASCII_COMPATIBLE = /^(?:utf-?8|us-ascii|ascii|iso-8859-\d+|latin1|windows-125\d)$/i

/**
 * Puts a link before the end of an HTML page, without style or script, which a Content-Security-Policy may forbid. Parts of
 * pages fetched by a script, and bodies that are no HTML text, stay as they are.
 */
export function addLink(ctx: Context, link: string): void {
  const { body } = ctx
  if (!takesLink(ctx)) return
  if (typeof body === 'string') ctx.body = withLink(body, link)
  // latin1 keeps every byte, in any encoding.
  else if (Buffer.isBuffer(body)) ctx.body = Buffer.from(withLink(body.toString('latin1'), link), 'latin1')
}

function takesLink(ctx: Context): boolean {
  if (ctx.method === 'HEAD' || ctx.status === 204 || ctx.status === 304 || ctx.headerSent) return false
  if (ctx.response.is('html') === false || ctx.res.hasHeader('Content-Encoding')) return false
  if (ctx.get('Sec-Fetch-Dest') === 'empty') return false
  const [, charset = 'utf-8'] = /;\s*charset="?([^";\s]+)/i.exec(ctx.response.get('Content-Type')) ?? []
  return typeof ctx.body === 'string' || ASCII_COMPATIBLE.test(charset)
}

function withLink(page: string, link: string): string {
  const end = [...page.matchAll(END_OF_BODY)].at(-1)?.index ?? page.length
  return page.slice(0, end) + link + page.slice(end)
}
