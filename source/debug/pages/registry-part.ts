import type { PreparedReport, RegistryReport, RoleReport } from '../../registry/registry-report.ts'
import { errorText } from '../../transaction/describe.ts'
import { duration, plural } from './format.ts'
import { html, type Html } from './html.ts'
import { replicasPart } from './replicas-part.ts'
import { roleColour } from './role-colour.ts'

/** The options of a role, in the order they are shown; those with the default value stand back. */
const OPTIONS = {
  readOnly: false,
  commit: 'joined',
  twoPhase: 'auto',
  bestEffort: false,
  initialState: 'active',
  rawWrites: 'rollback',
  keepSession: false,
  isolationLevel: undefined,
  pipelineCommit: false,
  scoped: true,
} as const satisfies Partial<Record<keyof RoleReport, unknown>>

/** The roles of the registry with their options. */
export function registryPart({ roles, unitsUnderWay, disablesTransactions }: RegistryReport): Html {
  const names = roles.map(({ role }) => role)
  return html`<section class="card">
    <div class="card-head">
      <h2>Registry <span class="muted">${plural(unitsUnderWay, 'unit')} of work under way</span></h2>
      ${disablesTransactions && html`<span class="badge warn">transactions are disabled</span>`}
    </div>
    <div class="scroll" tabindex="0" role="region" aria-label="Options of the roles">
      <table class="options">
        <thead>
          <tr>
            <th scope="col">role</th>
            <th scope="col">database</th>
            ${Object.keys(OPTIONS).map((name) => html`<th scope="col">${name}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${roles.map((role) => roleRow(role, names))}
        </tbody>
      </table>
    </div>
  </section>`
}

function roleRow(role: RoleReport, names: readonly string[]): Html {
  return html`<tr class="${roleColour(names, role.role)}">
    <th scope="row">
      <i class="dot"></i>${role.role}${role.default && html` <span class="badge plain">default</span>`}
    </th>
    <td><span class="muted">${role.dialect}</span> ${role.database}</td>
    ${Object.entries(OPTIONS).map(([name, usual]) => {
      const value = role[name as keyof typeof OPTIONS]
      return html`<td class="${value === usual && 'muted'}">
        ${value === undefined ? 'the database’s' : String(value)}
      </td>`
    })}
  </tr>`
}

/** Prepared transactions that wait for their end, role by role; undefined where no database was asked. */
export function inDoubtPart(reports: readonly PreparedReport[] | undefined | 'no answer'): Html {
  return html`<section class="card" data-keep="in-doubt">
    <div class="card-head">
      <h2>In doubt <span class="muted">prepared transactions of this application that wait for their end</span></h2>
    </div>
    ${inDoubtContent(reports)}
  </section>`
}

function inDoubtContent(reports: readonly PreparedReport[] | undefined | 'no answer'): Html {
  if (reports === undefined) return html`<p class="empty">The databases were not asked.</p>`
  if (reports === 'no answer') return html`<p class="empty">The databases did not answer in time.</p>`
  if (reports.length === 0) return html`<p class="empty">No role is on a database that prepares transactions.</p>`
  if (reports.every(({ prepared, error }) => prepared.length === 0 && error === undefined)) {
    return html`<p class="empty">None.</p>`
  }
  return html`<ul class="in-doubt">
      ${reports.map(
        ({ role, prepared, error }) =>
          html` ${error !== undefined && html`<li><b>${role}</b> <span class="badge bad">not asked</span> ${errorText(error)}</li>`}
          ${prepared.map(({ id, ageMs }) => html`<li><b>${role}</b> <code>${id}</code> <span class="muted">for ${duration(ageMs)}</span></li>`)}`,
      )}
    </ul>
    <p class="notice">
      <code>await registry.recover()</code> settles them; it runs by itself as the registry’s option
      <code>recover</code> says.
    </p>`
}

/** The page of the registry. */
export function registryPage(
  report: RegistryReport,
  engines: Html,
  inDoubt: readonly PreparedReport[] | undefined | 'no answer',
): Html {
  return html`<div class="toolbar"><h1>Registry</h1></div>
    ${engines}${replicasPart(report)}${inDoubtPart(inDoubt)}${registryPart(report)}`
}
