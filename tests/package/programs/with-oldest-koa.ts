/** For `--import`: every import of koa gets the oldest version that the package's peer range allows. */
import { registerHooks } from 'node:module'

registerHooks({ resolve: (specifier, context, next) => next(specifier === 'koa' ? 'koa-oldest' : specifier, context) })
