import { changedByRead } from '../changed-by-read.ts'
import type { RecordedAttempt, RecordedChange, RecordedRequest } from '../record.ts'
import { plural } from './format.ts'
import { html, type Html } from './html.ts'
import { roleColour } from './role-colour.ts'

/** How many changes a badge names. */
const NAMED = 3

/** The entities that an attempt wrote by its flushes: also what a handler changed without meaning to store it. */
export function changesPart({ changes }: RecordedAttempt, roles: readonly string[]): Html {
  if (changes === undefined) return html``
  const { entries, dropped } = changes
  return html`<section class="card changes">
    <div class="card-head">
      <h2>Changed entities <span class="muted">${entries.length + dropped}</span></h2>
    </div>
    <ol class="change-list">
      ${entries.map((change, index) => changePart(change, index, roles))}
    </ol>
    ${dropped > 0 && html`<p class="notice">${plural(dropped, 'more change')} ${dropped === 1 ? 'is' : 'are'} not kept.</p>`}
  </section>`
}

function changePart(change: RecordedChange, index: number, roles: readonly string[]): Html {
  const { role, kind, entity, id, properties, emptied } = change
  const written = properties.filter((name) => !emptied.includes(name))
  return html`<li class="${roleColour(roles, role)}" data-key="change-${index}">
    <p class="changed">
      <span><span class="muted">${kind}</span> <b>${entity}</b>${id !== undefined && ` ${id}`}</span>
      <span class="role-tag"><i class="dot"></i>${role}</span>
    </p>
    ${
      properties.length > 0 &&
      html`<p class="fields">
        ${written.map((name) => html`<code>${name}</code> `)}${emptied.map((name) => html`<span class="badge warn">${name} = NULL</span> `)}
      </p>`
    }
  </li>`
}

/** The badge of a GET that wrote entities. */
export function changedByReadBadge(request: RecordedRequest): Html {
  const changes = changedByRead(request, request.attempts.at(-1))
  if (changes.length === 0) return html``
  const title = `A ${request.method} that wrote ${named(changes)}`
  return html`<span class="badge warn" title="${title}">changed</span>`
}

/** The first changes, and whether there are more. */
function named(changes: readonly RecordedChange[]): string {
  return changes.slice(0, NAMED).map(inWords).join('; ') + (changes.length > NAMED ? '; …' : '')
}

function inWords({ kind, entity, id, emptied }: RecordedChange): string {
  const nulls = emptied.map((name) => `${name} = NULL`)
  return [kind, entity, ...(id === undefined ? [] : [id]), ...(nulls.length > 0 ? [`(${nulls.join(', ')})`] : [])].join(
    ' ',
  )
}

/** What to do where a GET wrote what may have been meant for its answer alone. */
export function changedByReadAdvice(request: RecordedRequest, attempt: RecordedAttempt): Html {
  const changed = changedByRead(request, attempt).filter(({ kind }) => kind === 'update')
  if (changed.length === 0) return html``
  return html`<section class="advice">
    <h2>This ${request.method} changed entities</h2>
    <p><code>${named(changed)}</code></p>
    <p class="muted">
      The commit stores what a handler changes on an entity, and NULL for what it deletes from it. To leave something
      out of the answer alone: <code>serialize(entity, { exclude: ['…'] })</code>, a <code>hidden</code> property, or a
      role with <code>readOnly: true</code>.
    </p>
  </section>`
}
