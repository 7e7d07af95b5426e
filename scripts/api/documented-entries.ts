import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { surfaceOf, type Exported } from './surface.ts'

export interface DocumentedEntry {
  /** As it is imported. */
  readonly name: string
  readonly exports: readonly Exported[]
}

/** The entries of a package that is built, in the order of its `exports`. */
export async function documentedEntries(folder: string): Promise<DocumentedEntry[]> {
  const { name: packageName, exports } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as {
    name: string
    exports: Record<string, string | { types: string }>
  }
  const entries = Object.entries(exports).flatMap(([path, target]) =>
    typeof target === 'string' ? [] : [{ name: path.replace('.', packageName), types: target.types }],
  )
  const surface = surfaceOf(
    folder,
    entries.map(({ types }) => types),
  )
  return entries.map(({ name }, index) => ({ name, exports: surface[index] ?? [] }))
}
