import type { AuditEntry } from '../entities/audit-entry.ts'
import { html, type Markup } from './html.ts'
import { layout } from './layout.ts'

const TIME = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'medium', timeZone: 'UTC' })

/** The latest attempts to change something, and what became of them. */
export function auditPage(entries: readonly AuditEntry[]): string {
  return layout(
    'Audit log',
    html`<h1>Audit log</h1>
      <p class="hint">Every attempt to change something. It is kept whatever becomes of the rest.</p>
      <div class="wide">
        <table>
          <thead>
            <tr>
              <th>who</th>
              <th>what</th>
              <th>answer</th>
              <th>left</th>
              <th>when (UTC)</th>
            </tr>
          </thead>
          <tbody>
            ${entries.map(row)}
          </tbody>
        </table>
      </div>`,
  )
}

function row({ at, actor, method, path, status, committed }: AuditEntry): Markup {
  return html`<tr>
    <td>${actor ?? '–'}</td>
    <td>${method} ${path}</td>
    <td>${status ?? '–'}</td>
    <td>${committed ? 'what it did' : html`<strong>nothing</strong>`}</td>
    <td><time datetime="${at.toISOString()}">${TIME.format(at)}</time></td>
  </tr>`
}
