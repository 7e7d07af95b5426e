import { randomInt } from 'node:crypto'

const LONGEST_STEM = 80
const SUFFIX_LENGTH = 6

/**
 * `Über uns!` becomes `uber-uns-4k0zq1`.
 *
 * The suffix is always there, not only when the plain slug is taken: two authors may choose one title at the same
 * moment, and no look into the database could tell them apart in time.
 */
export function newSlug(title: string): string {
  const stem = title
    .normalize('NFKD')
    .replaceAll(/\p{M}+/gu, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, LONGEST_STEM)
    .replaceAll(/^-+|-+$/g, '')
  const suffix = randomInt(36 ** SUFFIX_LENGTH)
    .toString(36)
    .padStart(SUFFIX_LENGTH, '0')
  return `${stem || 'article'}-${suffix}`
}

/** Whether any article could have it. What cannot be a slug need not be looked up, and some of it no database takes. */
export function isSlug(text: string | undefined): text is string {
  return text !== undefined && /^[a-z0-9-]+$/.test(text)
}
