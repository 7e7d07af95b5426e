import { createHash } from 'node:crypto'

/** The bytes of a name that PostgreSQL keeps. */
const LONGEST_NAME = 63
const HASH_LENGTH = 8
/** The longest of each part; with what stands between them they fill a name. */
const LONGEST_LABEL = 16
/** Of a random name. */
export const RUN_LENGTH = 6
const LONGEST_BASE = LONGEST_NAME - '_test_'.length - HASH_LENGTH - RUN_LENGTH - LONGEST_LABEL - 2

/** What the name of a database says, where it is one of ours. */
export type NamedDatabase =
  | { readonly kind: 'template' | 'building'; readonly hash: string }
  | { readonly kind: 'test'; readonly hash: string; readonly run: string }

/** The names of the databases that come from one url. */
export class TemplateNames {
  readonly #base: string
  readonly #longestLabel: number

  /** Names that are as long as they like, such as those of files. */
  static unlimited(base: string): TemplateNames {
    return new TemplateNames(base, Number.POSITIVE_INFINITY)
  }

  /** Names of at most 63 bytes. */
  static ofPostgres(database: string): TemplateNames {
    return new TemplateNames(shortened(database, LONGEST_BASE), LONGEST_LABEL)
  }

  private constructor(base: string, longestLabel: number) {
    this.#base = base
    this.#longestLabel = longestLabel
  }

  template(hash: string): string {
    return `${this.#base}_template_${hash}`
  }

  /** While it is being built. */
  building(hash: string): string {
    return `${this.template(hash)}_building`
  }

  test(hash: string, run: string, label: string): string {
    return `${this.#base}_test_${hash}_${run}_${shortened(label, this.#longestLabel)}`
  }

  /** What all of them begin with. */
  get prefix(): string {
    return `${this.#base}_`
  }

  /** Undefined for every name that is not made here: such a database is left alone. */
  parse(name: string): NamedDatabase | undefined {
    if (!name.startsWith(this.prefix)) return undefined
    const rest = name.slice(this.prefix.length)
    const [, hash, building] = /^template_([0-9a-f]{8})(_building)?$/.exec(rest) ?? []
    if (hash !== undefined) return { kind: building === undefined ? 'template' : 'building', hash }
    const [, ofTest, run] = /^test_([0-9a-f]{8})_([0-9a-z]+)_\w+$/.exec(rest) ?? []
    return ofTest === undefined || run === undefined ? undefined : { kind: 'test', hash: ofTest, run }
  }
}

export function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, HASH_LENGTH)
}

/** At most so many bytes. What is too long keeps its beginning, and gets a hash, or two of them would become one. */
function shortened(text: string, bytes: number): string {
  if (Buffer.byteLength(text) <= bytes) return text
  const room = bytes - HASH_LENGTH - 1
  let kept = ''
  for (const character of text) {
    if (Buffer.byteLength(kept + character) > room) break
    kept += character
  }
  return `${kept}_${hashOf(text)}`
}

/** A name for a run, or for a part of one, that no other process has. */
export function randomName(length = RUN_LENGTH): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(length)), (byte) => (byte % 36).toString(36)).join('')
}
