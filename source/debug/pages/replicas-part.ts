import type { RegistryReport, RoleReport } from '../../registry/registry-report.ts'
import { duration, plural } from './format.ts'
import { html, type Html } from './html.ts'
import { roleColour } from './role-colour.ts'

const TONES = { up: 'good', lagging: 'warn', down: 'bad', foreign: 'bad' } as const

/** The replicas of each role, as they are now; nothing where no role has `replicaOf`. */
export function replicasPart({ roles }: RegistryReport): Html | undefined {
  const reading = roles.filter(({ replicaOf }) => replicaOf !== undefined)
  if (reading.length === 0) return undefined
  const names = roles.map(({ role }) => role)
  return html`<section class="card">
    <div class="card-head">
      <h2>Replicas <span class="muted">reads go to one that shows what its client has committed</span></h2>
    </div>
    <div class="scroll" tabindex="0" role="region" aria-label="Replicas">
      <table class="options">
        <thead>
          <tr>
            ${['role', 'replica', 'state', 'lag', 'position', 'in flight', 'served', 'moved'].map((name) => html`<th scope="col">${name}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${reading.map((role) => rows(role, names))}
        </tbody>
      </table>
    </div>
  </section>`
}

function rows({ role, replicaOf, replicas, fallbacks }: RoleReport, names: readonly string[]): Html {
  const colour = roleColour(names, role)
  const reasons = Object.entries(fallbacks).map(([reason, times]) => `${times} ${reason}`)
  const total = Object.values(fallbacks).reduce((sum, times) => sum + times, 0)
  return html`${replicas.map(
      (each) =>
        html`<tr class="${colour}" data-key="replica-${role}-${each.replica}">
          <th scope="row"><i class="dot"></i>${role}</th>
          <td>${each.replica}</td>
          <td><span class="badge ${TONES[each.state]}" title="${each.reason}">${each.state}</span></td>
          <td>${each.lagMs === undefined ? '–' : duration(each.lagMs)}</td>
          <td>${each.position === undefined ? '–' : html`<code>${each.position}</code>`}</td>
          <td>${each.inFlight}</td>
          <td>${each.served}</td>
          <td>${each.moved}</td>
        </tr>`,
    )}
    <tr class="${colour}">
      <th scope="row"><i class="dot"></i>${role}</th>
      <td colspan="7" class="muted">
        ${replicas.length === 0 ? 'no replicas: everything comes from the primary' : html`of <code>${replicaOf?.of}</code>; ${plural(total, 'statement')} went to the primary${total > 0 && html`: ${reasons.join(', ')}`}`}
      </td>
    </tr>`
}
