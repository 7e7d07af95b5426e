import type { RegistryReport } from '../../registry/registry-report.ts'
import type { RecordedAttempt, RecordedRole } from '../record.ts'
import { poolPart } from './engines-part.ts'
import { html, type Html } from './html.ts'
import { roleColour } from './role-colour.ts'

/** Where each role stands, with the connections it used and its pool as it is now. */
export function rolesPart(
  { roles }: RecordedAttempt,
  names: readonly string[],
  report: RegistryReport | undefined,
): Html {
  return html`<section class="card roles-card">
    <div class="card-head"><h2>Roles</h2></div>
    <ul class="role-list">
      ${roles.map((role) => rolePart(role, names, report))}
    </ul>
  </section>`
}

function rolePart(recorded: RecordedRole, names: readonly string[], report: RegistryReport | undefined): Html {
  const { role, status, state, backends, statements } = recorded
  const pool = report?.roles.find((each) => each.role === role)?.pool
  return html`<li class="${roleColour(names, role)} ${status === 'INIT' && 'untouched'}" data-key="role-${role}">
    <p class="role-name">
      <i class="dot"></i><b>${role}</b>
      <span class="badge plain" title="INIT: never touched, START: open, END: over">${status}</span
      >${state !== undefined && html` <span class="badge ${state === 'changed' ? 'good' : 'plain'}">${state}</span>`}
    </p>
    <dl class="facts">
      <div>
        <dt>statements</dt>
        <dd>${statements}</dd>
      </div>
      <div>
        <dt>backend</dt>
        <dd>${backends.length === 0 ? html`<span class="muted">none</span>` : backends.join(', ')}</dd>
      </div>
      <div class="wide">
        <dt>pool now</dt>
        <dd>${poolPart(pool)}</dd>
      </div>
    </dl>
  </li>`
}
