import { inspect } from 'node:util'

/** HTML that is safe to send as it is. */
export class Html {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character)
}

/**
 * A template of HTML. Every value in it is escaped, for text and for attributes in quotes, but for HTML made by this same
 * template and lists of it; `undefined`, `null` and `false` give nothing.
 */
export function html(strings: TemplateStringsArray, ...values: readonly unknown[]): Html {
  return new Html(strings.reduce((text, string, index) => text + shown(values[index - 1]) + string))
}

function shown(value: unknown): string {
  if (value === undefined || value === null || value === false) return ''
  if (value instanceof Html) return value.text
  if (Array.isArray(value)) return value.map(shown).join('')
  return escaped(typeof value === 'string' ? value : inspect(value))
}
