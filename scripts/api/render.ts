import type { DocumentedEntry } from './documented-entries.ts'
import { KINDS, type Documented, type Exported } from './surface.ts'

const TITLES: Readonly<Record<Exported['kind'], string>> = {
  function: 'Functions',
  class: 'Classes',
  interface: 'Interfaces',
  type: 'Types',
  constant: 'Constants',
  error: 'Errors',
}
const TAGS: Readonly<Record<string, string>> = { throws: 'Throws', param: 'Parameter', see: 'See', returns: 'Returns' }

/** docs/api.md: what each entry exports, but for what an entry before it has already. */
export function render(entries: readonly DocumentedEntry[]): string {
  const seen = new Set<string>()
  const parts = entries.map(({ name, exports }) => {
    const own = exports.filter((exported) => !seen.has(keyOf(exported)))
    for (const exported of own) seen.add(keyOf(exported))
    return `## \`${name}\`\n\n${KINDS.map((kind) => group(kind, own)).join('')}`
  })
  return (
    '# Reference\n\nMade from the docstrings by `npm run docs`; change them, not this page. `koa-sqlassist` also exports what ' +
    `\`koa-sqlassist/transaction\` does, which stands under that.\n\n${parts.join('')}`.trimEnd() +
    '\n'
  )
}

/** Two entries may give one name to different things. */
function keyOf({ name, declaration, text }: Exported): string {
  return [name, declaration, text].join('\n')
}

function group(kind: Exported['kind'], exports: readonly Exported[]): string {
  const members = exports.filter((exported) => exported.kind === kind)
  return members.length === 0 ? '' : `### ${TITLES[kind]}\n\n${members.map(section).join('')}`
}

function section(exported: Exported): string {
  const declaration = ['```ts', exported.declaration, '```'].join('\n')
  const members = exported.members.map(item).join('\n')
  return [`#### ${exported.name}`, declaration, exported.text, ...exported.tags.map(tagLine), members]
    .filter((part) => part !== '')
    .map((part) => `${part}\n\n`)
    .join('')
}

function item(member: Documented): string {
  const declaration = member.declaration
    .split('\n')
    .map((line) => line.trim())
    .join(' ')
  const text = [member.text, ...member.tags.map(tagLine)].filter((part) => part !== '').join('\n\n')
  return `- \`${declaration}\`${text === '' ? '' : `\n\n${text.replaceAll(/^(?=.)/gm, '  ')}`}`
}

function tagLine({ name, text }: Documented['tags'][number]): string {
  return `${TAGS[name] ?? name}: ${text.replace(/^[-–] /, '')}`
}
