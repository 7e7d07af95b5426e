import type {
  RecordedAttempt,
  RecordedEnd,
  RecordedServer,
  RecordedSpan,
  RecordedStatement,
  RecordedStep,
} from '../record.ts'
import { serverFacts } from './server-facts.ts'
import { repeatedIn, type Repeated } from '../repeated.ts'
import { errorPart } from './error-part.ts'
import { duration, percent, plural } from './format.ts'
import { html, type Html } from './html.ts'
import { roleColour } from './role-colour.ts'
import { sqlLines } from './sql-lines.ts'
import { sql } from './sql.ts'

const TICKS = 2

interface Scale {
  readonly fromMs: number
  readonly lengthMs: number
}

type Row =
  | { readonly kind: 'statement'; readonly span: RecordedStatement; readonly times: number }
  | { readonly kind: 'end'; readonly span: RecordedEnd }
  | { readonly kind: 'mark'; readonly span: RecordedStep }

/** Statements, calls and steps of an attempt in order, each with a bar that shows when it ran. */
export function timeLine(attempt: RecordedAttempt, roles: readonly string[], nowMs: number): Html {
  const repeated = repeatedIn(attempt)
  const rows = rowsOf(attempt, repeated)
  const scale = { fromMs: attempt.atMs, lengthMs: Math.max(lengthOf(attempt, rows, nowMs), 0.001) }
  const used = [...new Set(attempt.statements.map(({ role }) => role))]
  const { statements, dropped } = attempt
  return html`<section class="card lines">
    <div class="card-head">
      <h2>Time line <span class="muted">${plural(statements.length + dropped.statements, 'statement')}</span></h2>
      ${rows.length > 0 && html`<input type="search" class="filter" data-filter="row-${attempt.attempt}" placeholder="Filter statements…" aria-label="Filter statements" />`}
      ${used.length > 1 && html`<div class="chips" role="group" aria-label="Show only the role">${used.map((role) => html`<button type="button" class="chip ${roleColour(roles, role)}" data-tag="role-${role}" data-for="row-${attempt.attempt}" aria-pressed="false"><i class="dot"></i>${role}</button>`)}</div>`}
    </div>
    ${
      rows.length === 0
        ? dropped.statements === 0 &&
          html`<p class="empty">No statement was sent${attempt.outcome === undefined && ' yet'}.</p>`
        : html` <div class="axis" aria-hidden="true">
              <span class="axis-scale"
                >${Array.from({ length: TICKS + 1 }, (_, index) => html`<span>${index === 0 ? '0' : duration((scale.lengthMs * index) / TICKS)}</span>`)}</span
              >
            </div>
            <ol class="rows">
              ${rows.map((row, index) => rowPart(row, index, { attempt, roles, scale }))}
            </ol>
            <p class="empty none" data-none hidden>Nothing matches the filter.</p>`
    }
    ${dropped.statements > 0 && html`<p class="notice">${plural(dropped.statements, 'statement')} ${dropped.statements === 1 ? 'is' : 'are'} over the limit of the option <code>statements</code> and only counted.</p>`}
  </section>`
}

function rowsOf({ statements, ends, steps }: RecordedAttempt, repeated: readonly Repeated[]): Row[] {
  const timesOf = (statement: RecordedStatement): number =>
    repeated.find(({ role, shape }) => role === statement.role && shape === statement.shape)?.times ?? 1
  const rows: Row[] = [
    ...statements.map((span) => ({ kind: 'statement', span, times: timesOf(span) }) as const),
    ...ends.map((span) => ({ kind: 'end', span }) as const),
    ...steps.filter(takesTime).map((span) => ({ kind: 'mark', span }) as const),
  ]
  return rows.toSorted((one, other) => one.span.atMs - other.span.atMs)
}

function takesTime({ step }: RecordedStep): boolean {
  return step === 'commit' || step === 'abort' || step === 'savepoint' || step === 'rollback'
}

/** Ends with the last statement: a streamed body is read when the attempt is over. */
function lengthOf({ atMs, tookMs }: RecordedAttempt, rows: readonly Row[], nowMs: number): number {
  const ends = rows.map(({ span }) => endOf(span, nowMs))
  return Math.max(tookMs === undefined ? nowMs : atMs + tookMs, ...ends) - atMs
}

function endOf({ atMs, tookMs }: RecordedSpan, nowMs: number): number {
  return tookMs === undefined ? nowMs : atMs + tookMs
}

interface Around {
  readonly attempt: RecordedAttempt
  readonly roles: readonly string[]
  readonly scale: Scale
}

function rowPart(row: Row, index: number, { attempt, roles, scale }: Around): Html {
  const { span, kind } = row
  const role = row.kind === 'mark' ? undefined : row.span.role
  const classes = [
    kind,
    role === undefined ? '' : roleColour(roles, role),
    span.error === undefined ? '' : 'failed',
    span.tookMs === undefined ? 'busy' : '',
  ]
  return html`<li
    class="row ${classes.join(' ')}"
    data-key="${attempt.attempt}-${index}"
    data-item="row-${attempt.attempt}"
    data-tags="role-${role}"
  >
    <details>
      <summary>
        <span class="index">${index + 1}</span>
        <span class="role" title="${role}"
          >${role === undefined ? html`<span class="muted">transaction</span>` : html`<i class="dot"></i>${role}`}</span
        >
        <span class="said"><span class="text">${textOf(row)}</span><span class="flags">${flags(row)}</span></span>
        <span class="rows-count">${rowsShown(row)}</span>
        <span class="took">${span.tookMs === undefined ? '…' : duration(span.tookMs)}</span>
        ${bar(span, scale)}
      </summary>
      ${detail(row)}
    </details>
  </li>`
}

function textOf(row: Row): Html {
  if (row.kind === 'statement') return html`<code>${sql(row.span.sql.replaceAll(/\s+/g, ' '))}</code>`
  if (row.kind === 'end') return html`<code>${sql(endText(row.span))}</code>`
  return html`${markText(row.span)}`
}

function endText({ how, gid }: RecordedEnd): string {
  if (how === 'prepare') return `prepare transaction '${gid}'`
  return gid === undefined ? how : `${how} '${gid}'`
}

export function markText({ step, subject }: RecordedStep): string {
  if (step === 'savepoint') return `savepoint ${subject}`
  return step === 'rollback' ? `roll back to savepoint ${subject}` : step
}

function flags(row: Row): Html {
  const { span } = row
  return html`${span.error !== undefined && flag('bad', 'error', 'It ended in an error')}${
    row.kind === 'statement' && statementFlags(row.span, row.times)
  }${row.kind === 'end' && row.span.decides && flag('plain', 'decides', 'It wrote the decision of the commit over several databases')}`
}

function statementFlags({ begins, inTransaction, readOnly, servedBy }: RecordedStatement, times: number): Html {
  return html`${servedBy !== undefined && serverFlag(servedBy)}${times > 1 && flag('warn', `×${times}`, `Sent ${times} times with other values`)}${
    begins && flag('plain', 'begin', 'BEGIN was sent with it')
  }${!inTransaction && !readOnly && flag('plain', 'no tx', 'It ran in no transaction and committed by itself')}`
}

function serverFlag({ server, fallback }: RecordedServer): Html {
  if (fallback !== undefined) return flag('warn', `primary: ${fallback}`, 'No replica could answer it')
  return flag('plain', server === 'primary' ? 'primary' : 'replica', `${server} answered it`)
}

function flag(tone: string, text: string, title: string): Html {
  return html`<span class="badge ${tone}" title="${title}">${text}</span>`
}

function rowsShown(row: Row): Html | undefined {
  if (row.kind !== 'statement' || row.span.rows === undefined) return undefined
  return html`${row.span.rows}<span class="unit"> ${row.span.rows === 1 ? 'row' : 'rows'}</span>`
}

function bar({ atMs, tookMs }: RecordedSpan, { fromMs, lengthMs }: Scale): Html {
  const offset = Math.max(0, atMs - fromMs)
  const took = tookMs ?? lengthMs - offset
  return html`<svg class="bar" aria-hidden="true">
    <rect
      x="${percent(offset, lengthMs)}"
      width="${percent(Math.max(took, lengthMs / 250), lengthMs)}"
      height="100%"
      rx="2"
    />
  </svg>`
}

function detail(row: Row): Html {
  const { span } = row
  return html`<div class="detail">
    ${row.kind === 'statement' && statementDetail(row.span, row.times)}
    ${row.kind === 'end' && html`<pre class="sql">${sql(endText(row.span))}</pre>`}
    <dl class="facts">
      <div>
        <dt>starts at</dt>
        <dd>${duration(span.atMs)}</dd>
      </div>
      <div>
        <dt>took</dt>
        <dd>${span.tookMs === undefined ? 'under way' : duration(span.tookMs)}</dd>
      </div>
      ${
        row.kind !== 'mark' &&
        html`<div>
          <dt>backend</dt>
          <dd>${row.span.backend ?? 'none'}</dd>
        </div>`
      }
      ${
        row.kind === 'statement' &&
        html`<div>
            <dt>rows</dt>
            <dd>${row.span.rows ?? '–'}</dd>
          </div>
          ${row.span.servedBy !== undefined && serverFacts(row.span.servedBy)}
          <div>
            <dt>transaction</dt>
            <dd>
              ${row.span.inTransaction ? (row.span.begins ? 'begins it' : 'inside') : 'none, it commits by itself'}
            </dd>
          </div>`
      }
    </dl>
    ${span.error !== undefined && errorPart(span.error)}
  </div>`
}

function statementDetail({ sql: text, cutCharacters, parameters, shape }: RecordedStatement, times: number): Html {
  return html`<div class="sql-box">
      <pre class="sql" tabindex="0" role="group" aria-label="Statement">
${sql(sqlLines(text))}${cutCharacters > 0 && html`<span class="muted">… ${plural(cutCharacters, 'more character')}</span>`}</pre>
      <button type="button" class="quiet copy" data-do="copy">Copy</button>
    </div>
    ${
      parameters.length > 0 &&
      html`<ol class="parameters" aria-label="Parameters">
        ${parameters.map((value) => html`<li><code>${value}</code></li>`)}
      </ol>`
    }
    ${times > 1 && html`<p class="notice">Sent ${times} times by this role: <code>${shape}</code></p>`}`
}
