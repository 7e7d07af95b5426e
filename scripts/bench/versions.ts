import { readFileSync } from 'node:fs'
import { findPackageJSON } from 'node:module'
import process from 'node:process'

const PACKAGES = 'koa @mikro-orm/core kysely pg better-sqlite3 typeorm typeorm-transactional autocannon'.split(' ')

/** Of what takes part in a benchmark. */
export function versions(): Record<string, string> {
  const found = PACKAGES.map((name) => [name, versionOf(name)])
  return { node: process.versions.node, ...Object.fromEntries(found) } as Record<string, string>
}

function versionOf(name: string): string {
  const file = findPackageJSON(name, import.meta.url)
  return (JSON.parse(readFileSync(file!, 'utf8')) as { version: string }).version
}
