import type { RegistryReport } from '../../registry/registry-report.ts'
import type { RecordedRequest } from '../record.ts'
import { repeatedIn } from '../repeated.ts'
import { totalsOf } from '../totals.ts'
import { changedByReadBadge } from './changes-part.ts'
import { emptyPart } from './empty-part.ts'
import { enginesPart } from './engines-part.ts'
import { duration, percent, plural, timeOfDay } from './format.ts'
import { html, type Html } from './html.ts'
import type { Page } from './layout.ts'
import { outcomeBadge, statusBadge, titleOf } from './outcome.ts'
import { roleColour } from './role-colour.ts'

/** The latest requests and runs, newest first. */
export function requestsPage(
  base: string,
  requests: readonly RecordedRequest[],
  roles: readonly string[],
  report: RegistryReport | undefined,
): Page {
  const longestMs = Math.max(1, ...requests.map(({ tookMs }) => tookMs ?? 0))
  const content = html` ${report !== undefined && enginesPart(report)}
    <div class="toolbar">
      <h1>Requests</h1>
      <input
        type="search"
        class="filter"
        data-filter="request"
        placeholder="Filter by path, status, outcome, role…"
        aria-label="Filter requests"
      />
      <div class="chips" role="group" aria-label="Show only">
        ${['aborted', 'repeated', 'retried', 'run'].map((tag) => html`<button type="button" class="chip" data-tag="${tag}" aria-pressed="false">${tag === 'run' ? 'runs' : tag}</button>`)}
      </div>
      <button type="button" class="quiet" data-do="pause" aria-pressed="false">Pause</button>
    </div>
    ${requests.length === 0 && emptyPart()}
    <ol class="requests" aria-label="Latest requests">
      ${requests.map((request) => row(base, request, roles, longestMs))}
    </ol>
    <p class="empty none" data-none hidden>Nothing matches the filter.</p>`
  return { title: 'Requests', current: 'requests', follows: 'all', content }
}

function row(base: string, request: RecordedRequest, roles: readonly string[], longestMs: number): Html {
  const { id, kind, method, url, startedAt, tookMs, droppedAttempts, attempts } = request
  const last = attempts.at(-1)
  const { statements, databaseMs } = totalsOf(request)
  const repeated = last === undefined ? [] : repeatedIn(last)
  const tries = attempts.length + droppedAttempts
  const tags = [
    kind,
    last?.outcome ?? 'under way',
    ...(repeated.length > 0 ? ['repeated'] : []),
    ...(tries > 1 ? ['retried'] : []),
  ]
  // Beside a long request the bars of the others would be too short to be seen.
  const length = Math.log1p(tookMs ?? 0) / Math.log1p(longestMs)
  const opened = last?.roles.filter(({ status }) => status !== 'INIT') ?? []
  return html`<li class="request" data-key="${id}" data-item="request" data-tags="${tags.join(' ')}">
    <time class="when" datetime="${new Date(startedAt).toISOString()}">${timeOfDay(startedAt)}</time>
    <span class="what"
      ><a class="cover" href="${base}/requests/${id}"
        >${kind === 'request' ? html`<span class="method">${method}</span> <span class="url">${url}</span>` : html`<span class="url">${titleOf(request)}</span>`}</a
      ></span
    >
    <span class="status">${statusBadge(request)}</span>
    <span class="outcome"
      >${last !== undefined && outcomeBadge(last)}${tries > 1 && html`<span class="badge warn">${tries} attempts</span>`}${changedByReadBadge(request)}</span
    >
    <span class="roles"
      >${opened.map(({ role, state }) => html`<span class="role-tag ${roleColour(roles, role)}" title="${role}: ${state}"><i class="dot"></i>${role}${state === 'changed' && html`<b aria-hidden="true">•</b><span class="unseen"> changed</span>`}</span>`)}</span
    >
    <span class="count"
      >${repeated[0] !== undefined && html`<span class="badge warn" title="The same statement, ${repeated[0].times} times">N+1 ×${repeated[0].times}</span>`}<span
        class="number"
        >${statements}</span
      >
      <span class="unit">sql</span></span
    >
    <span class="time"
      ><svg class="meter" aria-hidden="true">
        <rect class="whole" width="${percent(length, 1)}" height="100%" rx="2" />
        <rect
          class="part"
          width="${percent((length * databaseMs) / (tookMs || Infinity), 1)}"
          height="100%"
          rx="2"
        /></svg
      ><span class="number" title="${duration(databaseMs)} of it in the database; ${plural(statements, 'statement')}"
        >${tookMs === undefined ? '…' : duration(tookMs)}</span
      ></span
    >
  </li>`
}
