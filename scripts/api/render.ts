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

/** docs/api.md: what each entry exports; what an entry above it has already is only named. */
export function render(entries: readonly DocumentedEntry[]): string {
  const seen = new Set<string>()
  const parts = entries.map(({ name, exports }) => {
    const own = exports.filter((exported) => !seen.has(keyOf(exported)))
    const above = exports.filter((exported) => seen.has(keyOf(exported))).map((exported) => `\`${exported.name}\``)
    for (const exported of own) seen.add(keyOf(exported))
    const named = above.length === 0 ? '' : `As above: ${above.join(', ')}.\n\n`
    return `## \`${name}\`\n\n${named}${KINDS.map((kind) => group(kind, own)).join('')}`
  })
  const head = '# Reference\n\nMade from the docstrings by `npm run docs`; change them, not this page.\n\n'
  return `${(head + parts.join('')).trimEnd()}\n`
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
