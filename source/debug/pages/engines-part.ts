import type { RegistryReport, RoleReport } from '../../registry/registry-report.ts'
import { percent } from './format.ts'
import { html, type Html } from './html.ts'
import { roleColour } from './role-colour.ts'

/** Every engine with its pool, in one line. */
export function enginesPart({ roles }: RegistryReport): Html {
  const names = roles.map(({ role }) => role)
  return html`<section class="engines" aria-label="Engines">${roles.map((role) => engine(role, names))}</section>`
}

function engine({ role, dialect, database, pool }: RoleReport, names: readonly string[]): Html {
  return html`<div class="engine ${roleColour(names, role)}" data-key="engine-${role}">
    <span class="engine-name"><i class="dot"></i>${role}</span>
    <span class="engine-where" title="${database}">${dialect} · ${database.replace(/^.*[\\/]/, '')}</span>
    ${poolPart(pool)}
  </div>`
}

/** A pool as a meter: connections in use, open and idle ones, and those it may still open. */
export function poolPart(pool: RoleReport['pool']): Html {
  if (pool === undefined) return html`<span class="pool none">no pool</span>`
  const { max, total, idle, waiting } = pool
  return html`<span class="pool ${waiting > 0 && 'short'}"
    ><svg class="meter" aria-hidden="true">
      <rect class="whole" width="${percent(total, max)}" height="100%" rx="2" />
      <rect class="part" width="${percent(total - idle, max)}" height="100%" rx="2" /></svg
    ><span>${total - idle} used, ${idle} idle of ${max}${waiting > 0 && html`, <b>${waiting} waiting</b>`}</span></span
  >`
}
