/** The pages as a reader goes through them: each link leads somewhere, the index has every page, and no page is long. */
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import * as assert from 'uvu/assert'
import { root } from '../support/stranger.ts'
import { suite } from '../support/suite.ts'

const test = suite('the pages of the documentation')
const PAGES = globSync(['*.md', 'docs/*.md', 'example-koa/*.md'], { cwd: root }).toSorted()
const { files } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { files: string[] }

interface Link {
  readonly page: string
  /** The file that it leads to, from the root of the checkout. */
  readonly target: string
  readonly anchor: string | undefined
}

/** Lines of code blocks are empty here. */
function proseOf(page: string): string {
  return readFileSync(join(root, page), 'utf8').replaceAll(/^ *```[^]*?^ *```$/gm, (block) =>
    block.replaceAll(/.+/g, ''),
  )
}

function linksOf(page: string): Link[] {
  return [...proseOf(page).matchAll(/\]\((?!\w+:)([^)\s]+)\)/g)].map(([, link = '']) => {
    const [path = '', anchor] = link.split('#')
    return { page, target: path === '' ? page : normalize(join(dirname(page), path)), anchor }
  })
}

/** The names that GitHub gives to the headings of a page. */
function anchorsOf(page: string): string[] {
  const seen = new Map<string, number>()
  return [...proseOf(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => {
    const name = heading
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\p{M}_ -]/gu, '')
      .replaceAll(' ', '-')
    const count = seen.get(name) ?? 0
    seen.set(name, count + 1)
    return count === 0 ? name : `${name}-${count}`
  })
}

const links = PAGES.flatMap(linksOf)
const shown = ({ page, target, anchor }: Link): string =>
  `${page}: ${target}${anchor === undefined ? '' : `#${anchor}`}`

test('link to files that are there', () => {
  assert.ok(links.length > 60, `found only ${links.length}`)
  assert.equal(links.filter(({ target }) => !existsSync(join(root, target))).map(shown), [])
})

test('link to headings that are there', () => {
  const anchored = links.filter(({ anchor }) => anchor !== undefined)
  assert.ok(anchored.length > 5)
  assert.equal(anchored.filter(({ target, anchor = '' }) => !anchorsOf(target).includes(anchor)).map(shown), [])
})

test('link from the package to the package, so that the links work without the checkout', () => {
  const isPublished = (path: string): boolean => files.some((file) => path === file || path.startsWith(`${file}/`))
  assert.equal(links.filter(({ page, target }) => isPublished(page) && !isPublished(target)).map(shown), [])
})

test('stand in the index, each of them, in one line', () => {
  const index = [...readFileSync(join(root, 'docs/README.md'), 'utf8').matchAll(/^- \[(\S+)\]\(\1\): \S/gm)]
  const pages = PAGES.filter((page) => page.startsWith('docs/') && page !== 'docs/README.md')
  assert.equal(index.map(([, name]) => `docs/${name}`).toSorted(), pages)
})

test('have 200 lines at most, and the README 240', () => {
  const limits = new Map([
    ['README.md', 240],
    ['docs/api.md', Infinity], // generated
    ['CHANGELOG.md', Infinity],
  ])
  const lines = (page: string): number => readFileSync(join(root, page), 'utf8').split('\n').length - 1
  assert.equal(
    PAGES.filter((page) => lines(page) > (limits.get(page) ?? 200)),
    [],
  )
})

test.run()
