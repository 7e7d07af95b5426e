/** Has every registry of a run be in a sandbox, and what a second connection sees be what the sandbox holds. */
import { registerHooks } from 'node:module'

const REPLACED = {
  '/source/registry/engine-registry.ts': new URL('registry.ts', import.meta.url).href,
  '/tests/support/leaks.ts': new URL('leaks.ts', import.meta.url).href,
  '/tests/support/second-look.ts': new URL('look.ts', import.meta.url).href,
  '/tests/support/suite.ts': new URL('suite.ts', import.meta.url).href,
} as const
const OWN = new URL('.', import.meta.url).href

registerHooks({
  resolve(specifier, context, next) {
    const resolved = next(specifier, context)
    if (context.parentURL?.startsWith(OWN) === true) return resolved
    const [, instead] = Object.entries(REPLACED).find(([end]) => resolved.url.endsWith(end)) ?? []
    return instead === undefined ? resolved : { ...resolved, url: instead }
  },
})
