import type { RecordedAttempt, RecordedChange } from '../record.ts'
import { plural } from './format.ts'
import { html, type Html } from './html.ts'
import { roleColour } from './role-colour.ts'

/** The entities that an attempt wrote by its flushes: also what a handler changed without meaning to store it. */
export function changesPart({ changes }: RecordedAttempt, roles: readonly string[]): Html {
  if (changes === undefined) return html``
  const { entries, dropped } = changes
  return html`<section class="card story changes" aria-label="Changed entities">
    <div class="card-head"><h2>Changed entities</h2></div>
    <ol class="steps">
      ${entries.map((change, index) => changePart(change, index, roles))}
    </ol>
    ${dropped > 0 && html`<p class="notice">${plural(dropped, 'more change')} ${dropped === 1 ? 'is' : 'are'} not kept.</p>`}
  </section>`
}

function changePart(
  { role, kind, entity, id, properties, emptied }: RecordedChange,
  index: number,
  roles: readonly string[],
) {
  const written = properties.filter((name) => !emptied.includes(name))
  return html`<li class="step ${roleColour(roles, role)}" data-key="change-${index}">
    <span class="at"><i class="dot" title="${role}"></i></span>
    <span class="step-text"
      ><b>${kind}</b>
      ${entity}${id !== undefined && ` ${id}`}${written.length > 0 && html` <code>${written.join(', ')}</code>`}${emptied.map((name) => html` <span class="badge warn">${name} = NULL</span>`)}</span
    >
    <span class="took"></span>
  </li>`
}
