import type { PreparedReport, RegistryReport } from '../../registry/registry-report.ts'
import type { RecordedAttempt, RecordedRequest } from '../record.ts'
import { repeatedIn } from '../repeated.ts'
import { totalsOf } from '../totals.ts'
import { changedByReadAdvice, changesPart } from './changes-part.ts'
import { errorPart } from './error-part.ts'
import { duration, plural, timeOfDay } from './format.ts'
import { html, type Html } from './html.ts'
import type { Page } from './layout.ts'
import { outcomeBadge, outcomeSentence, statusBadge, titleOf } from './outcome.ts'
import { inDoubtPart, registryPart } from './registry-part.ts'
import { roleColour } from './role-colour.ts'
import { rolesPart } from './roles-part.ts'
import { storyPart } from './story-part.ts'
import { timeLine } from './time-line.ts'

/** Content of a request's page. */
export interface RequestPageFacts {
  readonly base: string
  readonly request: RecordedRequest
  readonly newer: RecordedRequest | undefined
  readonly older: RecordedRequest | undefined
  readonly roles: readonly string[]
  readonly report: RegistryReport | undefined
  readonly inDoubt: readonly PreparedReport[] | undefined | 'no answer'
  /** Milliseconds since the request began. */
  readonly nowMs: number
}

export function requestPage(facts: RequestPageFacts): Page {
  const { request, report } = facts
  const content = html` ${head(facts)}
  ${request.attempts.map((attempt, index) => attemptPart(facts, attempt, index === request.attempts.length - 1))}
  ${inDoubtPart(facts.inDoubt)} ${report !== undefined && registryPart(report)}`
  return { title: titleOf(request), current: 'requests', follows: request.id, content }
}

function head({ base, request, newer, older }: RequestPageFacts): Html {
  const { kind, method, url, startedAt, tookMs, property, attempts, droppedAttempts } = request
  const { statements, databaseMs, commitMs } = totalsOf(request)
  const last = attempts.at(-1)
  const neighbour = (to: RecordedRequest | undefined, label: string, rel: string): Html =>
    to === undefined
      ? html`<a class="quiet off" role="link" aria-disabled="true">${label}</a>`
      : html`<a class="quiet" rel="${rel}" href="${base}/requests/${to.id}" title="${titleOf(to)}">${label}</a>`
  const tries = attempts.length + droppedAttempts
  return html`<nav class="trail" aria-label="Requests">
      <a href="${base}" data-back>‹ Requests</a
      ><span class="spacer"></span>${neighbour(older, 'Older', 'prev')}${neighbour(newer, 'Newer', 'next')}
    </nav>
    <div class="title">
      <h1>
        ${kind === 'request' ? html`<span class="method">${method}</span> <span class="url">${url}</span>` : titleOf(request)}
      </h1>
      <p class="badges">
        ${statusBadge(request)}${last !== undefined && outcomeBadge(last)}${tries > 1 && html`<span class="badge warn">${tries} attempts</span>`}
      </p>
    </div>
    <dl class="summary">
      <div>
        <dt>at</dt>
        <dd><time datetime="${new Date(startedAt).toISOString()}">${timeOfDay(startedAt)}</time></dd>
      </div>
      <div>
        <dt>took</dt>
        <dd>${tookMs === undefined ? 'under way' : duration(tookMs)}</dd>
      </div>
      <div>
        <dt>database</dt>
        <dd>${duration(databaseMs)}</dd>
      </div>
      <div>
        <dt>commit</dt>
        <dd>${commitMs === undefined ? '–' : duration(commitMs)}</dd>
      </div>
      <div>
        <dt>statements</dt>
        <dd>${statements}</dd>
      </div>
      <div>
        <dt>sessions at</dt>
        <dd>${property === undefined ? '–' : html`<code>ctx.${property}</code>`}</dd>
      </div>
    </dl>
    ${droppedAttempts > 0 && html`<p class="notice">${plural(droppedAttempts, 'earlier attempt')} ${droppedAttempts === 1 ? 'is' : 'are'} not kept.</p>`}`
}

function attemptPart(facts: RequestPageFacts, attempt: RecordedAttempt, isLast: boolean): Html {
  const { request, roles, report, nowMs } = facts
  const content = html` ${verdict(request, attempt)} ${changedByReadAdvice(request, attempt)} ${advice(attempt, roles)}
    <div class="columns">
      ${timeLine(attempt, roles, nowMs)}
      <div class="side">${rolesPart(attempt, roles, report)}${changesPart(attempt, roles)}${storyPart(attempt)}</div>
    </div>`
  if (request.attempts.length === 1) return html`<div data-key="attempt-${attempt.attempt}">${content}</div>`
  return html`<details class="attempt" data-key="attempt-${attempt.attempt}" ${isLast && html`open`}>
    <summary>
      <b>Attempt ${attempt.attempt}</b> ${outcomeBadge(attempt)}
      <span class="muted">${outcomeSentence(request, attempt)}</span>
    </summary>
    ${content}
  </details>`
}

function verdict(request: RecordedRequest, attempt: RecordedAttempt): Html {
  const tone = { committed: 'good', aborted: 'bad', ended: 'plain' } as const
  const { outcome, error } = attempt
  return html`<section class="verdict ${outcome === undefined ? 'busy' : tone[outcome]}">
    <p class="verdict-text">${outcomeSentence(request, attempt)}</p>
    ${error !== undefined && errorPart(error)}
  </section>`
}

function advice(attempt: RecordedAttempt, roles: readonly string[]): Html {
  const left = leftPrepared(attempt)
  return html` ${
    left.length > 0 &&
    html`<section class="advice bad">
      <h2>Left prepared</h2>
      <p>Recovery is to finish ${left.map((gid) => html`<code>${gid}</code> `)}</p>
    </section>`
  }
  ${repeatedIn(attempt).map(
    ({ role, shape, times, tookMs }) =>
      html`<section class="advice ${roleColour(roles, role)}">
        <h2>${times} times the same statement <span class="muted">role ${role}, ${duration(tookMs)} together</span></h2>
        <p><code>${shape}</code></p>
        <p class="muted">With other values each time${remedy(shape)}</p>
      </section>`,
  )}`
}

function remedy(shape: string): Html {
  if (/^(?:select|with)/i.test(shape))
    return html` (N+1): <code>populate</code>, a join or an <code>in (…)</code> fetches them in one.`
  return html`: one flush, <code>insertMany</code> or a <code>where … in (…)</code> sends them in one.`
}

/** Prepared transactions that the attempt itself neither committed nor rolled back. */
function leftPrepared({ ends, outcome }: RecordedAttempt): string[] {
  if (outcome === undefined) return []
  const done = new Set(ends.filter(({ how, error }) => how.endsWith(' prepared') && !error).map(({ gid }) => gid))
  const prepared = ends.filter(({ how, gid, error }) => how === 'prepare' && error === undefined && !done.has(gid))
  return prepared.flatMap(({ gid }) => gid ?? [])
}
