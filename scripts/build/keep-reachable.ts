import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

const DECLARATION = /\.d\.ts$/
const RELATIVE_IMPORT = /(?:from|import)\s*\(?\s*['"](\.[^'"]+)['"]/g

/** Removes from `folder` the declarations that none of `entries` leads to: what nobody can import need not be published. */
export function keepReachable(folder: string, entries: readonly string[]): void {
  const reachable = new Set<string>()
  for (const entry of entries) visit(resolve(folder, entry), reachable)
  for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const path = resolve(folder, file)
    if (DECLARATION.test(file) && !reachable.has(path)) rmSync(path)
  }
  removeEmptyFolders(folder)
}

function visit(file: string, reachable: Set<string>): void {
  if (reachable.has(file)) return
  reachable.add(file)
  for (const [, specifier = ''] of readFileSync(file, 'utf8').matchAll(RELATIVE_IMPORT)) {
    visit(resolve(dirname(file), specifier.replace(/\.[jt]s$/, '.d.ts')), reachable)
  }
}

function removeEmptyFolders(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeEmptyFolders(join(folder, entry.name))
  }
  if (readdirSync(folder).length === 0) rmSync(folder, { recursive: true })
}
