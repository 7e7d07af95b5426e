import { cpSync, existsSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** Within node_modules, so that it finds the same MikroORM and Koa as the present build. */
const FOLDER = fileURLToPath(new URL('../../node_modules/.cache/koa-sqlassist-baseline', import.meta.url))

export const BASELINE_ENTRY = pathToFileURL(join(FOLDER, 'index.js')).href

/** Takes a copy of another build's dist. */
export function takeBaseline(dist: string): void {
  if (!existsSync(join(dist, 'index.js'))) throw new Error(`--baseline: there is no index.js in ${resolve(dist)}`)
  rmSync(FOLDER, { recursive: true, force: true })
  cpSync(dist, FOLDER, { recursive: true })
}
