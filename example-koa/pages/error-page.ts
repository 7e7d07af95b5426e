import { STATUS_CODES } from 'node:http'
import type { ApiError } from '../api-error.ts'
import { html } from './html.ts'
import { layout } from './layout.ts'

/** `nothingStored`: something was to be stored, and nothing was. */
export function errorPage({ status, errors }: ApiError, nothingStored: boolean): string {
  const text = STATUS_CODES[status] ?? 'Error'
  const problems = Object.entries(errors).map(([field, messages]) => html`<li>${field} ${messages.join(', ')}</li>`)
  const comfort = html`<p>
    Nothing of it was stored, whatever had been written by then. Only the <a href="/audit">audit log</a> knows that
    somebody tried. Your browser’s Back button brings back what you wrote.
  </p>`
  return layout(
    text,
    html`<h1>${status} ${text}</h1>
      <ul class="problems">
        ${problems}
      </ul>
      ${nothingStored ? comfort : ''}
      <p><a href="/">Latest articles</a></p>`,
  )
}
