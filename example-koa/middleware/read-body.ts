import { bodyParser } from '@koa/bodyparser'
import { isApi } from '../is-api.ts'

/** The API takes JSON, whatever its client calls it; a page sends what a form makes. */
export const readBody = bodyParser({ enableTypes: ['form'], detectJSON: isApi })
