import { STATUS_CODES } from 'node:http'
import { html } from './html.ts'
import { layout } from './layout.ts'

export function errorPage(status: number): string {
  const text = STATUS_CODES[status] ?? 'Error'
  return layout(text, html`<p class="empty"><strong>${status}</strong> ${text}. <a href="/">Latest articles</a></p>`)
}
