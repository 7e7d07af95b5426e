import { ARTICLES, SHAPES, type Work } from './works.ts'

/** For each connection the paths it asks for in turn: no two connections update the same article, and wait for each other. */
export function pathsOf(work: Work, connections: number, label: string): string[][] {
  if (SHAPES[work].argument === 'label') return Array.from({ length: connections }, () => [`/${work}/${label}`])
  const share = Math.floor(ARTICLES / connections)
  return Array.from({ length: connections }, (_, connection) =>
    Array.from({ length: share }, (__, index) => `/${work}/${connection * share + index + 1}`),
  )
}
