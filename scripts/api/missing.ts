import type { Documented, Exported } from './surface.ts'

/** What is exported without a docstring, and options that do not say their default. */
export function missing(exports: readonly Exported[]): string[] {
  return exports.flatMap((exported) => [
    ...(isBare(exported) ? [`${exported.name} has no docstring`] : []),
    ...exported.members.flatMap((member) => {
      const name = `${exported.name}.${member.name}`
      if (isBare(member) && !needsNone(exported, member)) return [`${name} has no docstring`]
      const isOption = exported.name.endsWith('Options') && member.declaration.includes('?:')
      return isOption && !/\bdefault\b/i.test(member.text) ? [`the docstring of ${name} does not tell its default`] : []
    }),
  ])
}

function isBare({ text, tags }: Documented): boolean {
  return text === '' && tags.length === 0
}

/** `SqlassistError` documents what a code is; the head of a class documents its constructor. */
function needsNone({ kind, name }: Exported, member: Documented): boolean {
  return member.name === 'constructor' || (kind === 'error' && member.name === 'code' && name !== 'SqlassistError')
}
