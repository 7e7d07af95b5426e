import type { RecordedAttempt, RecordedStep } from '../record.ts'
import { errorPart } from './error-part.ts'
import { duration, plural } from './format.ts'
import { html, type Html } from './html.ts'
import { markText } from './time-line.ts'

/** Steps of an attempt's transactions, in their order. */
export function storyPart(attempt: RecordedAttempt): Html {
  const { steps, transactions, dropped } = attempt
  return html`<section class="card story">
    <div class="card-head"><h2>Transaction</h2></div>
    ${transactions.map(
      ({ description, user, status }, index) =>
        html`<dl class="facts">
          ${
            transactions.length > 1 &&
            html`<div>
              <dt>transaction</dt>
              <dd>${index + 1}</dd>
            </div>`
          }
          <div>
            <dt>description</dt>
            <dd>${description === '' ? html`<span class="muted">none</span>` : description}</dd>
          </div>
          <div>
            <dt>user</dt>
            <dd>${user.trim() === '' ? html`<span class="muted">none</span>` : user}</dd>
          </div>
          <div>
            <dt>status</dt>
            <dd>
              ${status}${steps.some(({ step, transaction }) => step === 'abort' && transaction === index + 1) && ', aborted'}
            </dd>
          </div>
        </dl>`,
    )}
    <ol class="steps">
      ${steps.map((step, index) => stepPart(step, index, transactions.length))}
    </ol>
    ${dropped.steps > 0 && html`<p class="notice">${plural(dropped.steps, 'step')} ${dropped.steps === 1 ? 'is' : 'are'} over the limit of the option <code>statements</code> and not kept.</p>`}
  </section>`
}

function stepPart(step: RecordedStep, index: number, transactions: number): Html {
  const { atMs, tookMs, error, transaction } = step
  return html`<li class="step ${step.step} ${error !== undefined && 'failed'}" data-key="step-${index}">
    <span class="at">${duration(atMs)}</span>
    <span class="step-text"
      >${stepText(step)}${transactions > 1 && transaction !== undefined && html` <span class="muted">(${transaction})</span>`}</span
    >
    <span class="took">${tookMs !== undefined && tookMs > 0 && duration(tookMs)}</span>
    ${
      error !== undefined &&
      html`<details class="step-error">
        <summary>${error.name}</summary>
        ${errorPart(error)}
      </details>`
    }
  </li>`
}

function stepText(step: RecordedStep): Html {
  const { subject, detail } = step
  switch (step.step) {
    case 'begin':
      return html`<b>begin</b>`
    case 'join':
      return html`<b>join</b> ${subject}`
    case 'call':
      return html`<code>${detail}</code> ${subject}`
    case 'open':
      return html`<b>open</b> session ${subject}`
    case 'close':
      return html`<b>close</b> session ${subject}: <span class="muted">${detail}</span>`
    case 'savepoint':
    case 'rollback':
    case 'commit':
    case 'abort':
      return html`<b>${markText(step)}</b>`
  }
}
