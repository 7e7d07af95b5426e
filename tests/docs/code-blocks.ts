/** The code blocks of what is to be read. */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../support/stranger.ts'

export interface CodeBlock {
  readonly file: string
  /** Where its code begins, counted from 1. */
  readonly line: number
  readonly language: string
  readonly code: string
  /** The nearest heading above, and the number of the block under it where there are several of its language. */
  readonly title: string
}

/** docs/api.md is left out: the compiler wrote its blocks, which are declarations. */
const FILES = globSync(['*.md', 'docs/*.md', 'example-koa/*.md'], { cwd: root })
  .filter((file) => file !== 'docs/api.md')
  .toSorted()

export const codeBlocks: readonly CodeBlock[] = FILES.flatMap(blocksOf)

function blocksOf(file: string): CodeBlock[] {
  const blocks: CodeBlock[] = []
  const titles = new Map<string, number>()
  let heading = ''
  let open: { line: number; language: string } | undefined
  const lines = readFileSync(join(root, file), 'utf8').split('\n')
  for (const [index, line] of lines.entries()) {
    const [, language] = /^\s*```(.*)$/.exec(line) ?? []
    if (open === undefined && language !== undefined) open = { line: index + 2, language }
    else if (open !== undefined && language !== undefined) {
      const about = `${file} › ${heading}`
      const count = (titles.get(about + open.language) ?? 0) + 1
      titles.set(about + open.language, count)
      const title = count === 1 ? about : `${about} #${count}`
      blocks.push({ file, ...open, title, code: `${lines.slice(open.line - 1, index).join('\n')}\n` })
      open = undefined
    } else if (open === undefined) heading = /^#+ (.*)$/.exec(line)?.[1] ?? heading
  }
  if (open !== undefined) throw new Error(`${file}:${open.line} has a code block without an end`)
  return blocks
}
