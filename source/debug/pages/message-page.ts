import { html } from './html.ts'
import type { Page } from './layout.ts'

/** A page of one message. */
export function messagePage(base: string, title: string, message: string): Page {
  const content = html`<div class="toolbar"><h1>${title}</h1></div>
    <div class="card">
      <p class="empty">${message} <a href="${base}" data-back>To the latest requests</a></p>
    </div>`
  return { title, current: 'requests', follows: undefined, content }
}
